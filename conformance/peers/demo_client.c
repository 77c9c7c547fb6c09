/* Calls the demo program through rpcbind, prints what came back, one line a call.
   Arguments: HOST NETID [sys | none PRINCIPAL | integrity PRINCIPAL | privacy PRINCIPAL]. */
#include "demo.h"
#include <rpc/rpcsec_gss.h>
#include <stdio.h>
#include <string.h>

/* RPCSEC_GSS with the service of that name. */
static AUTH *proved(CLIENT *client, const char *service, char *principal)
{
    rpc_gss_service_t how = !strcmp(service, "privacy")     ? rpcsec_gss_svc_privacy
                            : !strcmp(service, "integrity") ? rpcsec_gss_svc_integrity
                                                            : rpcsec_gss_svc_none;
    return rpc_gss_seccreate(client, principal, "kerberos_v5", how, NULL, NULL, NULL);
}

int main(int count, char **arguments)
{
    struct timeval limit = {3, 0};
    xdrproc_t nothing = (xdrproc_t)xdr_void;
    CLIENT *client = clnt_create(arguments[1], DEMO_PROG, DEMO_V1, arguments[2]);
    enum clnt_stat status;
    str text = 0;
    int sum = 0;
    node second = {-2, NULL}, first = {1, &second};
    char data[5] = {0, 1, 2, 3, 4};
    tree leaf = {NULL, NULL, 20}, root = {&leaf, &leaf, 2};
    blob in, out;
    rpcvers_t bad = 9;

    if (!client) {
        clnt_pcreateerror(arguments[1]);
        return 1;
    }
    if (count > 4)
        client->cl_auth = proved(client, arguments[3], arguments[4]);
    else if (count > 3)
        client->cl_auth = authunix_create_default();
    if (!client->cl_auth) {
        printf("no security context\n");
        return 1;
    }
    status = clnt_call(client, 0, nothing, 0, nothing, 0, limit);
    printf("null: %s\n", clnt_sperrno(status));
    status = echo_1("hello", &text, client);
    printf("echo: %s %s\n", clnt_sperrno(status), text ? text : "-");
    status = add_1(40, 2, &sum, client);
    printf("add: %s %d\n", clnt_sperrno(status), sum);
    memset(&in, 0, sizeof in);
    memset(&out, 0, sizeof out);
    in.data.data_len = sizeof data;
    in.data.data_val = data;
    in.h = 1LL << 40;
    in.d = -0.5;
    in.s.c = BLUE;
    in.list = &first;
    status = blob_1(in, &out, client);
    printf("blob: %s %u %lld %g %d", clnt_sperrno(status), out.data.data_len, (long long)out.h,
           out.d, out.s.c == RED ? out.s.shape_u.r : -1);
    for (node *n = out.list; n; n = n->next)
        printf(" %d", n->v);
    status = sum_1(root, &sum, client);
    printf("\nsum: %s %d", clnt_sperrno(status), sum);
    status = clnt_call(client, 77, nothing, 0, nothing, 0, limit);
    printf("\nunknown procedure: %s\n", clnt_sperrno(status));
    clnt_control(client, CLSET_VERS, (char *)&bad);
    status = clnt_call(client, 1, nothing, 0, nothing, 0, limit);
    printf("unknown version: %s\n", clnt_sperror(client, ""));
    if (count > 4)
        auth_destroy(client->cl_auth);
    return 0;
}
