#include "boot.h"

#include "agent.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MODULES "/modules"
#define PORTS "/sys/class/virtio-ports"
#define PORT_NAME "hull.agent"

enum { PORT_WAIT_MS = 30000 };

static void complain(const char *what)
{
	fprintf(stderr, "hull-agent: %s: %s\n", what, strerror(errno));
}

static void mount_on(const char *type, const char *path, unsigned long flags, const char *options)
{
	mkdir(path, 0755);
	if (mount(type, path, type, flags, options) != 0 && errno != EBUSY)
		complain(path);
}

static void load_module(const char *name)
{
	char path[256];
	snprintf(path, sizeof path, MODULES "/%s", name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) != 0 && errno != EEXIST))
		complain(path);
	if (fd >= 0)
		close(fd);
	/* It is the kernel's now. */
	unlink(path);
}

static void load_modules(void)
{
	char line[128];
	FILE *order = fopen(MODULES "/order", "re");
	if (order == NULL) {
		complain(MODULES "/order");
		return;
	}
	while (fgets(line, sizeof line, order) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] != '\0')
			load_module(line);
	}
	fclose(order);
}

/* pivot_root(2) takes nobody off the kernel's first filesystem: a tmpfs over it becomes the root. */
static void leave_first_root(void)
{
	mkdir("/new", 0755);
	if (mount("tmpfs", "/new", "tmpfs", 0, "mode=755") != 0)
		complain("/new");
	static const char *const kept[] = { "proc", "sys", "dev" };
	for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
		char from[16], to[32];
		snprintf(from, sizeof from, "/%s", kept[i]);
		snprintf(to, sizeof to, "/new/%s", kept[i]);
		mkdir(to, 0755);
		if (mount(from, to, NULL, MS_MOVE, NULL) != 0)
			complain(to);
	}
	/* The init for containers that want one. */
	int init = open("/tini", O_RDONLY | O_CLOEXEC);
	int copy = init < 0 ? -1 : open("/new/tini", O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	char piece[16384];
	for (ssize_t length; copy >= 0 && (length = read(init, piece, sizeof piece)) > 0;)
		if (!write_all(copy, piece, (size_t)length))
			complain("/new/tini");
	if (init >= 0)
		close(init);
	if (copy >= 0)
		close(copy);
	unlink("/tini");
	if (chdir("/new") != 0 || mount(".", "/", NULL, MS_MOVE, NULL) != 0 || chroot(".") != 0 || chdir("/") != 0)
		complain("cannot leave the first root");
	mkdir("/run", 0755);
	mkdir(RUN_DIRECTORY, 0755);
}

void boot_prepare(void)
{
	mount_on("proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	mount_on("sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	mount_on("devtmpfs", "/dev", MS_NOSUID, "mode=755");
	/* With none of its own, the kernel gives the first process no open files. */
	for (int console; (console = open("/dev/console", O_RDWR | O_NOCTTY)) >= 0;)
		if (console > 2) {
			close(console);
			break;
		}
	load_modules();
	leave_first_root();
	mount_on("cgroup2", "/sys/fs/cgroup", MS_NOSUID | MS_NODEV | MS_NOEXEC, "nsdelegate,memory_recursiveprot");
	/* The host asks whether the guest lives while the guest has all hands full. */
	const struct sched_param parameter = { .sched_priority = 1 };
	/* musl has only a stub of it. */
	if (syscall(SYS_sched_setscheduler, 0, SCHED_RR | SCHED_RESET_ON_FORK, &parameter) != 0)
		complain("sched_setscheduler");
	if (write_file_text("/proc/self/oom_score_adj", "-1000") != 0)
		complain("oom_score_adj");
	const struct rlimit files = { 65536, 1048576 };
	setrlimit(RLIMIT_NOFILE, &files);
}

static int look_for_port(void)
{
	int fd = -1;
	DIR *ports = opendir(PORTS);
	for (struct dirent *entry; ports != NULL && fd < 0 && (entry = readdir(ports)) != NULL;) {
		char path[300];
		struct text name = { 0 };
		snprintf(path, sizeof path, PORTS "/%s/name", entry->d_name);
		if (entry->d_name[0] != '.' && text_read_file(&name, path, 64) && name.data != NULL && strcmp(name.data, PORT_NAME "\n") == 0) {
			snprintf(path, sizeof path, "/dev/%s", entry->d_name);
			fd = open(path, O_RDWR | O_CLOEXEC);
		}
		free(name.data);
	}
	if (ports != NULL)
		closedir(ports);
	return fd;
}

int boot_port(void)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	int64_t until = monotonic_ms() + PORT_WAIT_MS;
	int fd;
	/* Its name comes by a message of the host's, after the device. */
	while ((fd = look_for_port()) < 0 && monotonic_ms() < until)
		nanosleep(&pause, NULL);
	if (fd < 0)
		complain("no port " PORT_NAME);
	return fd;
}
