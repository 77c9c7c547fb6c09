/* The libtirpc server: rpcgen's dispatch, libtirpc's own loop, one port, no rpcbind. */
#include "common.h"

extern void bench_prog_1(struct svc_req *, SVCXPRT *);

static char *whole;

void *bench_null_1_svc(void *argument, struct svc_req *request)
{
    static char nothing;
    (void)argument, (void)request;
    return &nothing;
}

payload *bench_echo_1_svc(payload *argument, struct svc_req *request)
{
    (void)request;
    return argument;
}

payload *bench_read_1_svc(u_int *length, struct svc_req *request)
{
    static payload result;
    (void)request;
    if (*length > MEBIBYTE)
        return NULL;
    result.payload_len = *length;
    result.payload_val = whole;
    return &result;
}

int main(int count, char **arguments)
{
    int udp = strcmp(option(count, arguments, "--transport"), "udp") == 0, on = 1;
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t length = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    whole = pattern(MEBIBYTE);

    int sock = socket(AF_INET, udp ? SOCK_DGRAM : SOCK_STREAM, 0);
    if (sock < 0 || bind(sock, (struct sockaddr *)&address, length) != 0)
        fail("bind");
    if (!udp && (setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 || listen(sock, 4096) != 0))
        fail("listen");
    if (strcmp(option(count, arguments, "--cover"), "none") != 0
        && !rpc_gss_set_svc_name("bench@bench.test", "kerberos_v5", 0, BENCH_PROG, BENCH_V1)) {
        fprintf(stderr, "no keys for RPCSEC_GSS\n");
        return 1;
    }
    SVCXPRT *transport = udp ? svcudp_create(sock) : svctcp_create(sock, 0, 0);
    if (transport == NULL || !svc_register(transport, BENCH_PROG, BENCH_V1, bench_prog_1, 0)) {
        fprintf(stderr, "the transport could not be made\n");
        return 1;
    }
    if (getsockname(sock, (struct sockaddr *)&address, &length) != 0)
        fail("getsockname");
    printf("ready 127.0.0.1:%d %d\n", ntohs(address.sin_port), getpid());
    fflush(stdout);
    svc_run();
    return 1;
}
