/* Mounts a path and asks for the attributes of its root, one line each.
   Arguments: HOST NETID PATH [sys | none PRINCIPAL | integrity PRINCIPAL | privacy PRINCIPAL]. */
#include <rpc/rpc.h>
#include <rpc/rpcsec_gss.h>
#include <stdio.h>
#include <string.h>

struct mounted {
    int status;
    char *handle;
    u_int handle_len;
    int *flavors;
    u_int flavors_len;
};

struct attributes {
    int status;
    u_int type;
    char rest[80];
};

static bool_t xdr_mounted(XDR *xdr, struct mounted *m)
{
    return xdr_int(xdr, &m->status) &&
           (m->status || (xdr_bytes(xdr, &m->handle, &m->handle_len, 64) &&
                          xdr_array(xdr, (char **)&m->flavors, &m->flavors_len, 16, sizeof(int),
                                    (xdrproc_t)xdr_int)));
}

static bool_t xdr_handle(XDR *xdr, struct mounted *m)
{
    return xdr_bytes(xdr, &m->handle, &m->handle_len, 64);
}

static bool_t xdr_attributes(XDR *xdr, struct attributes *a)
{
    return xdr_int(xdr, &a->status) &&
           (a->status || (xdr_u_int(xdr, &a->type) && xdr_opaque(xdr, a->rest, sizeof a->rest)));
}

static CLIENT *client_of(int count, char **arguments, rpcprog_t program)
{
    CLIENT *client = clnt_create(arguments[1], program, 3, arguments[2]);

    if (!client) {
        clnt_pcreateerror(arguments[1]);
        return NULL;
    }
    if (count > 5) {
        rpc_gss_service_t how = !strcmp(arguments[4], "privacy")     ? rpcsec_gss_svc_privacy
                                : !strcmp(arguments[4], "integrity") ? rpcsec_gss_svc_integrity
                                                                     : rpcsec_gss_svc_none;
        client->cl_auth =
            rpc_gss_seccreate(client, arguments[5], "kerberos_v5", how, NULL, NULL, NULL);
    } else if (count > 4)
        client->cl_auth = authunix_create_default();
    if (!client->cl_auth) {
        printf("no security context\n");
        return NULL;
    }
    return client;
}

int main(int count, char **arguments)
{
    struct timeval limit = {5, 0};
    struct mounted mounted = {0};
    struct attributes attributes = {0};
    enum clnt_stat status;
    CLIENT *mount = client_of(count, arguments, 100005), *nfs;

    if (!mount)
        return 1;
    status = clnt_call(mount, 1, (xdrproc_t)xdr_wrapstring, (char *)&arguments[3],
                       (xdrproc_t)xdr_mounted, (char *)&mounted, limit);
    printf("mount: %s %d flavors", clnt_sperrno(status), mounted.status);
    for (u_int n = 0; n < mounted.flavors_len; n++)
        printf(" %d", mounted.flavors[n]);
    printf("\n");
    if (status != RPC_SUCCESS || mounted.status)
        return 0;
    nfs = client_of(count, arguments, 100003);
    if (!nfs)
        return 1;
    status = clnt_call(nfs, 1, (xdrproc_t)xdr_handle, (char *)&mounted, (xdrproc_t)xdr_attributes,
                       (char *)&attributes, limit);
    printf("attributes%s", clnt_sperror(nfs, ""));
    printf(" %d type %u\n", attributes.status, attributes.type);
    if (count > 5) {
        auth_destroy(nfs->cl_auth);
        auth_destroy(mount->cl_auth);
    }
    return 0;
}
