#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

struct container container = { .main_fd = -1, .root_fd = -1 };

void container_configured(struct call *call)
{
	container.state = CONTAINER_CONFIGURED;
	container.configuration = call_body(call);
	/* Its records are read again for the main process. */
	call->body = NULL;
}

uint64_t container_oom_kills(void)
{
	char path[256];
	struct text text = { 0 };
	snprintf(path, sizeof path, "%s/container/memory.events", place.cgroup);
	uint64_t kills = 0;
	if (text_read_file(&text, path, 4096) && text.data != NULL) {
		const char *line = strstr(text.data, "oom_kill ");
		if (line != NULL)
			kills = strtoull(line + strlen("oom_kill "), NULL, 10);
	}
	free(text.data);
	return kills;
}

/* Transfers that still go on hold what they read; it is on the disk all the same. */
static void unmount(const char *path)
{
	if (umount2(path, UMOUNT_NOFOLLOW) == 0 || errno != EBUSY)
		return;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		syncfs(fd);
		close(fd);
	}
	umount2(path, UMOUNT_NOFOLLOW | MNT_DETACH);
}

void container_tear_down(void)
{
	unmount(ROOT_PATH);
	unmount(TOP_PATH);
	sync();
}

int container_open_root(const struct records *body)
{
	bool upper = record_has(body, TAG_UPPER);
	if (!upper && !record_has(body, TAG_UNMOUNTED) && container.root_fd >= 0)
		return container.root_fd;
	int root = open(upper ? TOP_PATH "/upper" : ROOT_PATH, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		fail(errno, "the container has no filesystem: %s", strerror(errno));
	return root;
}
