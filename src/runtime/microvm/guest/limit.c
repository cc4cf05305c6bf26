#include "agent.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOOK_US = 1000, LOOKS_MOST = 10000 };

/* A process that is in the kernel freezes when it comes out of it. */
static bool wait_for_freezer(const char *wanted)
{
	char path[512], line[32];
	snprintf(path, sizeof path, "%s/container/cgroup.events", place.cgroup);
	snprintf(line, sizeof line, "frozen %s\n", wanted);
	for (int looks = 0; looks < LOOKS_MOST; looks++) {
		struct text events = { 0 };
		bool done = text_read_file(&events, path, 4096) && events.data != NULL && strstr(events.data, line) != NULL;
		free(events.data);
		if (done)
			return true;
		usleep(LOOK_US);
	}
	errno = EBUSY;
	return false;
}

static void write_limits(const struct records *body)
{
	struct record record;
	for (size_t at = 0; record_find(body, &at, TAG_CGROUP, &record);) {
		const char *texts[2];
		char path[512];
		record_texts(&record, texts, 2);
		if (strchr(texts[0], '/') != NULL)
			fail(EINVAL, "cgroup file `%s`: not a name", texts[0]);
		snprintf(path, sizeof path, "%s/container/%s", place.cgroup, texts[0]);
		if (write_file_text(path, texts[1]) != 0)
			fail(errno, "write to cgroup file `%s`: %s", texts[0], strerror(errno));
	}
}

void configure_cgroup(const struct records *body)
{
	static const char *const controllers[] = { "+cpuset", "+cpu", "+io", "+memory", "+pids", "+hugetlb" };
	char path[512];
	snprintf(path, sizeof path, "%s/cgroup.subtree_control", place.cgroup);
	/* One by one: those that the kernel lacks would take the others with them. */
	for (size_t i = 0; i < sizeof controllers / sizeof *controllers; i++)
		write_file_text(path, controllers[i]);
	snprintf(path, sizeof path, "%s/container", place.cgroup);
	if (mkdir(path, 0755) != 0 && errno != EEXIST)
		fail(errno, "cannot make the cgroup: %s", strerror(errno));
	write_limits(body);
}

void limit(const struct records *body)
{
	struct record record;
	write_limits(body);
	for (size_t at = 0; record_find(body, &at, TAG_CGROUP, &record);) {
		const char *texts[2];
		record_texts(&record, texts, 2);
		if (strcmp(texts[0], "cgroup.freeze") == 0)
			if (!wait_for_freezer(texts[1]))
				fail(errno, "the processes do not freeze");
	}
}

bool freeze(bool frozen)
{
	const char *state = frozen ? "1" : "0";
	char path[512];
	snprintf(path, sizeof path, "%s/container/cgroup.freeze", place.cgroup);
	return write_file_text(path, state) == 0 && wait_for_freezer(state);
}
