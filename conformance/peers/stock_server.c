/* What is behind rpcgen's server of Debian's spray.x: it counts. */
#include "spray.h"

static spraycumul sum = {0, {7, 8}};

void *sprayproc_spray_1_svc(sprayarr *bytes, struct svc_req *request)
{
    sum.counter += bytes->sprayarr_len == 5;
    return NULL;
}

spraycumul *sprayproc_get_1_svc(void *nothing, struct svc_req *request)
{
    return &sum;
}

void *sprayproc_clear_1_svc(void *nothing, struct svc_req *request)
{
    static char done;
    sum.counter = 0;
    return &done;
}
