/* Calls rusers and spray, as rpcgen makes them from Debian's own files, and prints what came back. */
#include "rusers.h"
#include "spray.h"
#include <stdio.h>

int main(void)
{
    struct timeval limit = {5, 0}, soon = {0, 300000};
    CLIENT *users = clnt_create("127.0.0.1", RUSERSPROG, RUSERSVERS_3, "tcp");
    CLIENT *spray = clnt_create("127.0.0.1", SPRAYPROG, SPRAYVERS, "udp");
    utmp_array names = {0};
    int number = 0;
    sprayarr bytes = {5, "spray"};
    spraycumul sum = {0};
    enum clnt_stat status;

    if (!users || !spray) {
        clnt_pcreateerror("127.0.0.1");
        return 1;
    }
    status = clnt_call(users, RUSERSPROC_NUM, (xdrproc_t)xdr_void, 0, (xdrproc_t)xdr_int,
                       (char *)&number, limit);
    printf("num: %s %d\n", clnt_sperrno(status), number);
    status = clnt_call(users, RUSERSPROC_NAMES, (xdrproc_t)xdr_void, 0, (xdrproc_t)xdr_utmp_array,
                       (char *)&names, limit);
    printf("names: %s", clnt_sperrno(status));
    for (u_int n = 0; n < names.utmp_array_len; n++)
        printf(" %s@%s %d %u", names.utmp_array_val[n].ut_user, names.utmp_array_val[n].ut_host,
               names.utmp_array_val[n].ut_time, names.utmp_array_val[n].ut_idle);
    status = clnt_call(spray, SPRAYPROC_SPRAY, (xdrproc_t)xdr_sprayarr, (char *)&bytes,
                       (xdrproc_t)xdr_void, 0, soon);
    printf("\nspray: %s\n", clnt_sperrno(status));
    status = clnt_call(spray, SPRAYPROC_GET, (xdrproc_t)xdr_void, 0, (xdrproc_t)xdr_spraycumul,
                       (char *)&sum, limit);
    printf("get: %s %u %u.%u\n", clnt_sperrno(status), sum.counter, sum.clock.sec, sum.clock.usec);
    return 0;
}
