#include "vm.h"

#include <grp.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* <linux/capability.h>: musl brings no kernel headers. */
enum { CAPABILITY_VERSION = 0x20080522 };
struct capability_header {
	uint32_t version;
	int pid;
};
struct capability_data {
	uint32_t effective, permitted, inheritable;
};

/* <linux/seccomp.h>, <linux/filter.h> */
enum { FILTER_SET = 1, FILTER_INSTRUCTION = 8 };
struct filter_program {
	unsigned short count;
	const void *instructions;
};

static uid_t owner_uid;
static gid_t owner_gid;

void own_files(uid_t uid, gid_t gid)
{
	owner_uid = uid;
	owner_gid = gid;
}

void make_files_as_owner(void)
{
	setfsgid(owner_gid);
	setfsuid(owner_uid);
}

/* Also what an execve could give. */
static bool forget_capabilities(void)
{
	for (unsigned long capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++)
		if (prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 1 && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0)
			return false;
	return true;
}

bool become(uid_t uid, gid_t gid)
{
	struct capability_header header = { .version = CAPABILITY_VERSION };
	struct capability_data none[2] = { 0 };
	/* Where the owner is root itself: no_new_privs keeps an execve from giving back what capset takes. */
	return forget_capabilities() && setgroups(0, NULL) == 0 && setresgid(gid, gid, gid) == 0 && setresuid(uid, uid, uid) == 0 &&
	       prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && syscall(SYS_capset, &header, none) == 0;
}

bool filter_calls(uint32_t flags, const unsigned char *program, size_t length)
{
	const struct filter_program filter = { (unsigned short)(length / FILTER_INSTRUCTION), program };
	return syscall(SYS_seccomp, FILTER_SET, flags, &filter) == 0;
}
