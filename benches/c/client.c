/* libtirpc's own client through rpcgen's stubs: one call in flight, every reply checked. */
#include "common.h"

struct work {
    char kind;
    u_int size;
    char *expected;
};

static void check(int right, const char *what)
{
    if (!right) {
        fprintf(stderr, "%s\n", what);
        exit(1);
    }
}

/* One call; `stamp` makes each echo another. All of a read is compared while warming up. */
static void call(CLIENT *client, struct work *work, uint32_t stamp, int thorough)
{
    payload *reply = NULL, argument = { work->size, work->expected };
    if (work->kind == 'n') {
        check(bench_null_1(NULL, client) != NULL, "a null call failed");
        return;
    }
    if (work->kind == 'e')
        memcpy(work->expected, &stamp, sizeof stamp);
    reply = work->kind == 'e' ? bench_echo_1(&argument, client) : bench_read_1(&work->size, client);
    check(reply != NULL && reply->payload_len == work->size, "a call failed");
    if (thorough || work->kind == 'e')
        check(memcmp(reply->payload_val, work->expected, work->size) == 0, "another payload");
    else
        for (u_int i = 0; i < work->size; i += 65521)
            check(reply->payload_val[i] == work->expected[i], "another payload");
    xdr_free((xdrproc_t)xdr_payload, (char *)reply);
    memset(reply, 0, sizeof *reply);
}

static CLIENT *connected(const char *text, int udp)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    struct timeval patience = { 5, 0 };
    int on = 1, sock = socket(AF_INET, udp ? SOCK_DGRAM : SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(atoi(strchr(text, ':') + 1));
    if (sock < 0 || connect(sock, (struct sockaddr *)&address, sizeof address) != 0)
        fail("connect");
    if (!udp && setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0)
        fail("TCP_NODELAY");
    CLIENT *client = udp ? clntudp_create(&address, BENCH_PROG, BENCH_V1, patience, &sock)
                         : clnttcp_create(&address, BENCH_PROG, BENCH_V1, &sock, 0, 0);
    check(client != NULL, "no client");
    return client;
}

int main(int count, char **arguments)
{
    const char *text = option(count, arguments, "--work");
    struct work work = { text[0], text[0] == 'n' ? 0 : atoi(strchr(text, ':') + 1), NULL };
    int64_t warm = atoll(option(count, arguments, "--warm")) * 1000000;
    int64_t measure = atoll(option(count, arguments, "--measure")) * 1000000;
    int udp = strcmp(option(count, arguments, "--transport"), "udp") == 0;
    size_t calls = 0, room = 1 << 20;
    uint64_t *latency = malloc(room * sizeof *latency);
    uint32_t stamp = 0;
    clockid_t server;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (latency == NULL || clock_getcpuclockid(atoi(option(count, arguments, "--server")), &server) != 0)
        fail("clock_getcpuclockid");
    work.expected = pattern(work.size);
    CLIENT *client = connected(option(count, arguments, "--address"), udp);
    const char *cover = option(count, arguments, "--cover");
    if (strcmp(cover, "none") != 0) {
        rpc_gss_service_t service = strcmp(cover, "krb5p") == 0 ? rpcsec_gss_svc_privacy : rpcsec_gss_svc_integrity;
        client->cl_auth = rpc_gss_seccreate(client, "bench@bench.test", "kerberos_v5", service, NULL, NULL, NULL);
        check(client->cl_auth != NULL, "no security context");
    }

    int64_t started = nanoseconds(CLOCK_MONOTONIC), last;
    do
        call(client, &work, stamp++, 1);
    while (nanoseconds(CLOCK_MONOTONIC) - started < warm);
    int64_t theirs = nanoseconds(server), ours = nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
    started = last = nanoseconds(CLOCK_MONOTONIC);
    while (last - started < measure && calls < room) {
        call(client, &work, stamp++, 0);
        int64_t now = nanoseconds(CLOCK_MONOTONIC);
        latency[calls++] = now - last;
        last = now;
    }
    theirs = nanoseconds(server) - theirs;
    ours = nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - ours;
    qsort(latency, calls, sizeof *latency, by_number);
    printf("{\"calls\":%zu,\"seconds\":%.9f,\"p50_ns\":%llu,\"p99_ns\":%llu,"
           "\"client_cpu_ns\":%lld,\"server_cpu_ns\":%lld}\n",
           calls, (last - started) / 1e9, (unsigned long long)latency[calls / 2],
           (unsigned long long)latency[calls * 99 / 100], (long long)ours, (long long)theirs);
    return 0;
}
