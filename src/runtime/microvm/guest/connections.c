#include "agent.h"

#include <ctype.h>
#include <dirent.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* Both ends are in this guest, and were saved at the same moment. */
static bool is_own(const union address *here, const union address *there)
{
	if (here->any.sa_family == AF_INET)
		return here->v4.sin_addr.s_addr == there->v4.sin_addr.s_addr;
	return memcmp(&here->v6.sin6_addr, &there->v6.sin6_addr, sizeof here->v6.sin6_addr) == 0;
}

/* Its process finds ECONNRESET; the other end, if it is still there, is told. */
static void reset(int fd)
{
	const struct sockaddr none = { .sa_family = AF_UNSPEC };
	union address here, there;
	socklen_t here_size = sizeof here, there_size = sizeof there, size = sizeof(int);
	int protocol;
	if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) != 0 || protocol != IPPROTO_TCP)
		return;
	if (getsockname(fd, &here.any, &here_size) != 0 || getpeername(fd, &there.any, &there_size) != 0)
		return;
	if (!is_own(&here, &there))
		connect(fd, &none, sizeof none);
}

static void reset_those_of(const char *pid)
{
	char path[300];
	snprintf(path, sizeof path, "/proc/%s/fd", pid);
	DIR *files = opendir(path);
	int process = files == NULL ? -1 : (int)syscall(SYS_pidfd_open, (pid_t)strtol(pid, NULL, 10), 0);
	for (struct dirent *entry; process >= 0 && (entry = readdir(files)) != NULL;) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		/* A copy: what is done to the socket is done to its process's. */
		int fd = (int)syscall(SYS_pidfd_getfd, process, (int)strtol(entry->d_name, NULL, 10), 0);
		if (fd < 0)
			continue;
		reset(fd);
		close(fd);
	}
	if (process >= 0)
		close(process);
	if (files != NULL)
		closedir(files);
}

void connections_reset(void)
{
	DIR *processes = opendir("/proc");
	for (struct dirent *entry; processes != NULL && (entry = readdir(processes)) != NULL;)
		if (isdigit((unsigned char)entry->d_name[0]))
			reset_those_of(entry->d_name);
	if (processes != NULL)
		closedir(processes);
}
