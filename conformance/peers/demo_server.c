/* The demo program on libtirpc. One argument makes its connections non-blocking; "gss" and a
   principal also let callers prove themselves. */
#include "demo.h"
#include <rpc/rpcsec_gss.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern void demo_prog_1(struct svc_req *, SVCXPRT *);
extern void demo_prog_2(struct svc_req *, SVCXPRT *);

bool_t echo_1_svc(str text, str *result, struct svc_req *call)
{
    *result = strdup(text);
    return TRUE;
}

bool_t add_1_svc(int a, int b, int *result, struct svc_req *call)
{
    *result = a + b;
    return TRUE;
}

bool_t blob_1_svc(blob in, blob *result, struct svc_req *call)
{
    node **tail = &result->list;

    memset(result, 0, sizeof *result);
    result->data.data_len = in.data.data_len;
    result->data.data_val = malloc(in.data.data_len + 1);
    memcpy(result->data.data_val, in.data.data_val, in.data.data_len);
    result->h = in.h + 1;
    result->d = in.d * 2;
    result->s.c = RED;
    result->s.shape_u.r = 42;
    for (node *n = in.list; n; n = n->next) {
        *tail = calloc(1, sizeof **tail);
        (*tail)->v = n->v;
        tail = &(*tail)->next;
    }
    return TRUE;
}

static int sum(tree *t)
{
    return t ? sum(t->left) + sum(t->right) + t->v : 0;
}

bool_t sum_1_svc(tree in, int *result, struct svc_req *call)
{
    *result = sum(&in);
    return TRUE;
}

bool_t echo2_2_svc(str text, str *result, struct svc_req *call)
{
    *result = strdup(text);
    return TRUE;
}

bool_t oneway_2_svc(str text, void *result, struct svc_req *call)
{
    return FALSE; /* no reply */
}

int demo_prog_1_freeresult(SVCXPRT *transport, xdrproc_t xdr, caddr_t result)
{
    xdr_free(xdr, result);
    return 1;
}

int demo_prog_2_freeresult(SVCXPRT *transport, xdrproc_t xdr, caddr_t result)
{
    xdr_free(xdr, result);
    return 1;
}

int main(int count, char **arguments)
{
    int largest = 1 << 20;
    int first, second;

    if (count == 2)
        rpc_control(RPC_SVC_CONNMAXREC_SET, &largest);
    if (count > 2 && (!rpc_gss_set_svc_name(arguments[2], "kerberos_v5", 0, DEMO_PROG, DEMO_V1) ||
                      !rpc_gss_set_svc_name(arguments[2], "kerberos_v5", 0, DEMO_PROG, DEMO_V2))) {
        printf("no keys for %s\n", arguments[2]);
        return 1;
    }
    first = svc_create(demo_prog_1, DEMO_PROG, DEMO_V1, "visible");
    second = svc_create(demo_prog_2, DEMO_PROG, DEMO_V2, "visible");
    printf("ready on %d and %d transports\n", first, second);
    fflush(stdout);
    svc_run();
    return 1;
}
