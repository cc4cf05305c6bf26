#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <linux/utsname.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

void set_clock(const struct records *body)
{
	struct record record;
	size_t at = 0;
	if (!record_find(body, &at, TAG_TIME, &record))
		return;
	uint64_t ns = get_u64(record.value);
	const struct timespec now = { (time_t)(ns / 1000000000), (long)(ns % 1000000000) };
	if (clock_settime(CLOCK_REALTIME, &now) != 0)
		fail(errno, "cannot set the time: %s", strerror(errno));
}

/* A guest that was saved has the same generator as all others of that kind until it is given something of its own. */
static void seed(const struct records *body)
{
	struct record record;
	size_t at = 0;
	if (!record_find(body, &at, TAG_ENTROPY, &record))
		return;
	struct rand_pool_info *pool = need(malloc(sizeof *pool + record.length));
	pool->entropy_count = (int)record.length * 8;
	pool->buf_size = (int)record.length;
	memcpy(pool->buf, record.value, record.length);
	int fd = open("/dev/urandom", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, RNDADDENTROPY, pool) != 0 || ioctl(fd, RNDRESEEDCRNG) != 0)
		fail(errno, "cannot seed the random number generator: %s", strerror(errno));
	close(fd);
	free(pool);
}

static void rescan(const struct records *body)
{
	if (record_has(body, TAG_RESCAN) && write_file_text("/sys/bus/pci/rescan", "1") != 0)
		fail(errno, "cannot look for devices: %s", strerror(errno));
}

static void set_names(const struct records *body)
{
	char *host = record_text(body, TAG_HOSTNAME), *domain = record_text(body, TAG_DOMAINNAME);
	if (host != NULL && sethostname(host, strlen(host)) != 0)
		fail(errno, "sethostname: %s", strerror(errno));
	/* As much as there is room for, as writing to the sysctl does it. */
	if (domain != NULL && setdomainname(domain, strnlen(domain, __NEW_UTS_LEN)) != 0)
		fail(errno, "setdomainname: %s", strerror(errno));
}

static void mount_shares(const struct records *body)
{
	char *tag = record_text(body, TAG_SHARE);
	if (tag == NULL)
		return;
	mkdir(SHARES_PATH, 0755);
	if (mount(tag, SHARES_PATH, "virtiofs", 0, NULL) != 0)
		fail(errno, "cannot mount the shares: %s", strerror(errno));
}

static void renew_files(const struct records *body)
{
	struct record record;
	for (size_t at = 0; record_find(body, &at, TAG_FILE, &record);)
		file_write(&record);
}

static void write_files(const struct records *body)
{
	mkdir(FILES_PATH, 0755);
	if (mount("tmpfs", FILES_PATH, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755") != 0)
		fail(errno, "cannot mount `%s`: %s", FILES_PATH, strerror(errno));
	renew_files(body);
}

void configure(const struct records *body)
{
	mkdir(RUN_DIRECTORY, 0755);
	set_clock(body);
	seed(body);
	rescan(body);
	set_names(body);
	configure_root(body);
	mount_shares(body);
	write_files(body);
	configure_cgroup(body);
	sysctls_write(body, true);
	configure_network(body);
	configure_stand_ins(body);
}

void restore(const struct records *body)
{
	seed(body);
	rescan(body);
	renew_files(body);
	limit(body);
	configure_network_anew(body);
	connections_reset();
}
