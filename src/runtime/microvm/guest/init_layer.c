#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What lies lowest in every container: Docker's init layer (moby's daemon/initlayer/setup_unix.go), as the engine makes it for its other containers. */
static const char *const directories[] = { "", "/dev", "/dev/pts", "/dev/shm", "/proc", "/sys", "/etc" };
static const char *const files[] = { "/.dockerenv", "/etc/resolv.conf", "/etc/hosts", "/etc/hostname", "/dev/console" };

void init_layer_make(const char *path)
{
	struct text made = { 0 };
	for (size_t i = 0; i < sizeof directories / sizeof *directories; i++) {
		made.length = 0;
		text_format(&made, "%s%s", path, directories[i]);
		if (mkdir(made.data, 0755) != 0 && errno != EEXIST)
			fail(errno, "mkdir `%s`: %s", made.data, strerror(errno));
	}
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		made.length = 0;
		text_format(&made, "%s%s", path, files[i]);
		int fd = open(made.data, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
		if (fd < 0)
			fail(errno, "cannot make `%s`: %s", made.data, strerror(errno));
		close(fd);
	}
	made.length = 0;
	text_format(&made, "%s/etc/mtab", path);
	if (symlink("/proc/mounts", made.data) != 0 && errno != EEXIST)
		fail(errno, "cannot make `%s`: %s", made.data, strerror(errno));
}
