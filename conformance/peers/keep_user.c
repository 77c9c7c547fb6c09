/* Loaded before rpcbind in a user namespace, where there is only one user to be: what gives up
   privileges there does nothing. */
#include <sys/types.h>

int setgroups(size_t count, const gid_t *groups)
{
    return 0;
}

int setgid(gid_t group)
{
    return 0;
}

int setuid(uid_t user)
{
    return 0;
}
