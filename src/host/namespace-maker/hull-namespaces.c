/*
 * hull-namespaces: makes a user namespace, and a network namespace that belongs to it or to one that there is, and keeps them as
 * files.
 *
 * A program of its own because a process with threads, such as the engine, can neither make nor enter a user namespace
 * (user_namespaces(7)), and because a network namespace belongs to the user namespace of whoever makes it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(const char *format, ...)
{
	int error = errno;
	va_list arguments;
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, ": %s\n", strerror(error));
	exit(1);
}

static _Noreturn void usage(void)
{
	fputs("usage: hull-namespaces make UID_MAP GID_MAP USER_FILE [NETWORK_FILE]\n"
	      "       hull-namespaces join USER_FILE NETWORK_FILE\n",
	      stderr);
	exit(2);
}

static void bring_loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) != 0)
		fail("lo");
	close(fd);
}

/* Lives only until its namespaces are kept; ends with us, should we be killed. */
static void inhabit(const char *join, bool network, int ready)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (join != NULL) {
		int fd = open(join, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || setns(fd, CLONE_NEWUSER) != 0)
			fail("%s", join);
		if (unshare(CLONE_NEWNET) != 0)
			fail("unshare");
	}
	if (network)
		bring_loopback_up();
	if (write(ready, "", 1) != 1)
		fail("pipe");
	for (;;)
		pause();
}

/* In the user namespace kept at `join`, or in one of its own without it. */
static pid_t start_inhabitant(const char *join, bool network)
{
	int ready[2];
	char byte;
	unsigned long flags = SIGCHLD;
	if (join == NULL)
		flags |= CLONE_NEWUSER | (network ? CLONE_NEWNET : 0);
	if (pipe2(ready, O_CLOEXEC) != 0)
		fail("pipe");
	pid_t pid = (pid_t)syscall(SYS_clone, flags, NULL, NULL, NULL, 0UL);
	if (pid < 0)
		fail("clone");
	if (pid == 0)
		inhabit(join, network, ready[1]);
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1) {
		/* It has said why. */
		exit(1);
	}
	close(ready[0]);
	return pid;
}

static void write_map(pid_t pid, const char *name, const char *map)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	/* The kernel takes a map in one piece only. */
	if (fd < 0 || write(fd, map, strlen(map)) != (ssize_t)strlen(map))
		fail("%s \"%s\"", path, map);
	close(fd);
}

static void keep(pid_t pid, const char *name, const char *file)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/ns/%s", (int)pid, name);
	int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0444);
	if (fd < 0)
		fail("%s", file);
	close(fd);
	if (mount(path, file, NULL, MS_BIND, NULL) != 0)
		fail("%s", file);
}

int main(int argc, char **argv)
{
	pid_t pid;
	if ((argc == 5 || argc == 6) && strcmp(argv[1], "make") == 0) {
		pid = start_inhabitant(NULL, argc == 6);
		write_map(pid, "uid_map", argv[2]);
		write_map(pid, "gid_map", argv[3]);
		keep(pid, "user", argv[4]);
		if (argc == 6)
			keep(pid, "net", argv[5]);
	} else if (argc == 4 && strcmp(argv[1], "join") == 0) {
		pid = start_inhabitant(argv[2], true);
		keep(pid, "net", argv[3]);
	} else {
		usage();
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return 0;
}
