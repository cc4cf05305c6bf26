#include "mount_options.h"

#include "agent.h"

#include <linux/mount.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

static const struct {
	const char *name;
	unsigned long set, clear;
} flags[] = {
	{ "defaults", 0, 0 },
	{ "ro", MS_RDONLY, 0 },
	{ "rw", 0, MS_RDONLY },
	{ "nosuid", MS_NOSUID, 0 },
	{ "suid", 0, MS_NOSUID },
	{ "nodev", MS_NODEV, 0 },
	{ "dev", 0, MS_NODEV },
	{ "noexec", MS_NOEXEC, 0 },
	{ "exec", 0, MS_NOEXEC },
	{ "sync", MS_SYNCHRONOUS, 0 },
	{ "async", 0, MS_SYNCHRONOUS },
	{ "dirsync", MS_DIRSYNC, 0 },
	{ "remount", MS_REMOUNT, 0 },
	{ "mand", MS_MANDLOCK, 0 },
	{ "nomand", 0, MS_MANDLOCK },
	{ "atime", 0, MS_NOATIME },
	{ "noatime", MS_NOATIME, 0 },
	{ "diratime", 0, MS_NODIRATIME },
	{ "nodiratime", MS_NODIRATIME, 0 },
	{ "relatime", MS_RELATIME, 0 },
	{ "norelatime", 0, MS_RELATIME },
	{ "strictatime", MS_STRICTATIME, 0 },
	{ "nostrictatime", 0, MS_STRICTATIME },
	{ "lazytime", MS_LAZYTIME, 0 },
	{ "nolazytime", 0, MS_LAZYTIME },
	{ "symfollow", 0, MS_NOSYMFOLLOW },
	{ "nosymfollow", MS_NOSYMFOLLOW, 0 },
	{ "bind", MS_BIND, 0 },
	{ "rbind", MS_BIND | MS_REC, 0 },
};

static const struct {
	const char *name;
	unsigned long propagation;
} propagations[] = {
	{ "private", MS_PRIVATE },
	{ "rprivate", MS_PRIVATE | MS_REC },
	{ "shared", MS_SHARED },
	{ "rshared", MS_SHARED | MS_REC },
	{ "slave", MS_SLAVE },
	{ "rslave", MS_SLAVE | MS_REC },
	{ "unbindable", MS_UNBINDABLE },
	{ "runbindable", MS_UNBINDABLE | MS_REC },
};

static const struct {
	const char *name;
	uint64_t set, clear;
} recursive[] = {
	{ "rro", MOUNT_ATTR_RDONLY, 0 },
	{ "rrw", 0, MOUNT_ATTR_RDONLY },
	{ "rnosuid", MOUNT_ATTR_NOSUID, 0 },
	{ "rsuid", 0, MOUNT_ATTR_NOSUID },
	{ "rnodev", MOUNT_ATTR_NODEV, 0 },
	{ "rdev", 0, MOUNT_ATTR_NODEV },
	{ "rnoexec", MOUNT_ATTR_NOEXEC, 0 },
	{ "rexec", 0, MOUNT_ATTR_NOEXEC },
};

#define COUNT(table) (sizeof table / sizeof *table)

static bool add_known(struct mount_options *options, const char *name)
{
	for (size_t i = 0; i < COUNT(flags); i++)
		if (strcmp(name, flags[i].name) == 0) {
			options->flags = (options->flags & ~flags[i].clear) | flags[i].set;
			return true;
		}
	for (size_t i = 0; i < COUNT(propagations); i++)
		if (strcmp(name, propagations[i].name) == 0) {
			options->propagation = propagations[i].propagation;
			return true;
		}
	for (size_t i = 0; i < COUNT(recursive); i++)
		if (strcmp(name, recursive[i].name) == 0) {
			options->recursive_set = (options->recursive_set & ~recursive[i].clear) | recursive[i].set;
			options->recursive_clear = (options->recursive_clear & ~recursive[i].set) | recursive[i].clear;
			return true;
		}
	if (strcmp(name, "tmpcopyup") != 0)
		return false;
	options->copy_up = true;
	return true;
}

static void add_data(struct mount_options *options, const char *name)
{
	struct text text = { 0 };
	if (options->data != NULL)
		text_format(&text, "%s,", options->data);
	text_format(&text, "%s", name);
	free(options->data);
	options->data = text.data;
}

void mount_options_add(struct mount_options *options, const char *text)
{
	char *copy = need(strdup(text)), *rest = copy;
	for (char *name; (name = strsep(&rest, ",")) != NULL;)
		if (name[0] != '\0' && !add_known(options, name))
			add_data(options, name);
	free(copy);
}
