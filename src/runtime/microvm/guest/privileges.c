#include "agent.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum set { BOUNDING, EFFECTIVE, PERMITTED, INHERITABLE, AMBIENT, SETS };

static void set_limits(const struct records *body)
{
	struct record record;
	for (size_t at = 0; record_find(body, &at, TAG_RLIMIT, &record);) {
		const struct rlimit limit = { get_u64(record.value + 4), get_u64(record.value + 12) };
		if (setrlimit((int)get_u32(record.value), &limit) != 0)
			fail(errno, "setrlimit `%u`: %s", get_u32(record.value), strerror(errno));
	}
}

static void load_filter(const struct record *record)
{
	/* Aligned as the kernel reads it. */
	struct sock_filter *filter = need(malloc(record->length + 1));
	if (record->length < 4 + sizeof *filter)
		fail(EINVAL, "seccomp: the filter is empty");
	memcpy(filter, record->value + 4, record->length - 4);
	const struct sock_fprog program = { (unsigned short)((record->length - 4) / sizeof *filter), filter };
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, get_u32(record->value), &program) < 0)
		fail(errno, "seccomp: %s", strerror(errno));
}

static void drop_bounding(uint64_t kept)
{
	for (unsigned long capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++)
		if (!(kept >> capability & 1) && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0)
			fail(errno, "prctl(PR_CAPBSET_DROP): %s", strerror(errno));
}

static void set_capabilities(const uint64_t sets[SETS])
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];
	for (int i = 0; i < 2; i++)
		data[i] = (struct __user_cap_data_struct){
			(uint32_t)(sets[EFFECTIVE] >> 32 * i),
			(uint32_t)(sets[PERMITTED] >> 32 * i),
			(uint32_t)(sets[INHERITABLE] >> 32 * i),
		};
	if (syscall(SYS_capset, &header, data) != 0)
		fail(errno, "capset: %s", strerror(errno));
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	for (unsigned long capability = 0; capability < 64; capability++)
		if (sets[AMBIENT] >> capability & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) != 0)
			fail(errno, "prctl(PR_CAP_AMBIENT_RAISE): %s", strerror(errno));
}

static void become(const struct user *user)
{
	if (setgroups(user->group_count, user->groups) != 0)
		fail(errno, "setgroups: %s", strerror(errno));
	if (setresgid(user->gid, user->gid, user->gid) != 0)
		fail(errno, "setresgid: %s", strerror(errno));
	if (setresuid(user->uid, user->uid, user->uid) != 0)
		fail(errno, "setresuid: %s", strerror(errno));
}

void privileges_drop(const struct records *body, const struct user *user)
{
	struct record capabilities, filter;
	size_t at = 0, filter_at = 0;
	bool has_capabilities = record_find(body, &at, TAG_CAPABILITIES, &capabilities);
	bool has_filter = record_find(body, &filter_at, TAG_SECCOMP, &filter);
	bool no_new = record_has(body, TAG_NO_NEW_PRIVILEGES);
	uint64_t sets[SETS];
	set_limits(body);
	/* Without no_new_privs only who has CAP_SYS_ADMIN may load one. */
	if (has_filter && !no_new)
		load_filter(&filter);
	for (int i = 0; has_capabilities && i < SETS; i++)
		sets[i] = get_u64(capabilities.value + 8 * i);
	if (has_capabilities)
		drop_bounding(sets[BOUNDING]);
	prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
	become(user);
	prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
	if (has_capabilities)
		set_capabilities(sets);
	if (no_new && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		fail(errno, "prctl(PR_SET_NO_NEW_PRIVS): %s", strerror(errno));
	if (has_filter && no_new)
		load_filter(&filter);
}
