/*
 * hull-vm-trim.so: a plugin of QEMU 7.2's translator (docs/devel/tcg-plugins.rst). Half of what an idle guest costs the host is code
 * that was translated for the guest's start and that nobody executes again; QEMU keeps it as long as there is room. The first time that
 * the guest has had next to nothing to do for some seconds, all of it is let go: what is still executed is translated again.
 */
#define _GNU_SOURCE
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>

/* include/qemu/qemu-plugin.h, which Debian does not install. */
typedef uint64_t plugin_id;
typedef void (*plugin_callback)(plugin_id id);
typedef void (*vcpu_callback)(plugin_id id, unsigned int vcpu);
extern void qemu_plugin_register_vcpu_idle_cb(plugin_id id, vcpu_callback callback);
extern void qemu_plugin_register_flush_cb(plugin_id id, plugin_callback callback);
extern void qemu_plugin_uninstall(plugin_id id, plugin_callback callback);
int qemu_plugin_install(plugin_id id, const void *info, int count, char **arguments);
extern int qemu_plugin_version;
int qemu_plugin_version = 1;

/* Idle is who has used less than a tenth of one processor for that long. */
#define IDLE_NANOSECONDS 3000000000LL
#define IDLE_SHARE 10
/* QEMU's own entry to translated code lies at the beginning of the buffer, and is not translated again (tcg_prologue_init). */
#define ENTRY_BYTES (64 * 1024)
/* QEMU divides the buffer into regions of 2 MiB at least (tcg_n_regions); what libraries have that is smaller is not ours. */
#define REGION_BYTES (1024 * 1024)

static int64_t began, used;
static bool trimmed;

static int64_t nanoseconds(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* No virtual processor runs now, and none will execute what was translated before. */
static void flushed(plugin_id id)
{
	(void)id;
	if (!trimmed)
		return;
	FILE *maps = fopen("/proc/self/maps", "re");
	if (maps == NULL)
		return;
	char line[512];
	unsigned long start, end, inode, kept = ENTRY_BYTES;
	while (fgets(line, sizeof line, maps) != NULL) {
		if (sscanf(line, "%lx-%lx rwxp %*s %*s %lu", &start, &end, &inode) != 3)
			continue;
		if (inode != 0 || end - start < REGION_BYTES)
			continue;
		madvise((void *)(start + kept), end - start - kept, MADV_DONTNEED);
		kept = 0;
	}
	fclose(maps);
}

static void idle(plugin_id id, unsigned int vcpu)
{
	(void)vcpu;
	int64_t now = nanoseconds(CLOCK_MONOTONIC);
	if (trimmed || now - began < IDLE_NANOSECONDS)
		return;
	int64_t use = nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
	if ((use - used) * IDLE_SHARE < now - began) {
		trimmed = true;
		/* Flushes on the way. */
		qemu_plugin_uninstall(id, NULL);
	}
	began = now;
	used = use;
}

int qemu_plugin_install(plugin_id id, const void *info, int count, char **arguments)
{
	(void)info, (void)count, (void)arguments;
	began = nanoseconds(CLOCK_MONOTONIC);
	qemu_plugin_register_flush_cb(id, flushed);
	qemu_plugin_register_vcpu_idle_cb(id, idle);
	return 0;
}
