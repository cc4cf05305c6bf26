#include "agent.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_MS = 10000 };

/* The name in `directory` that begins with this and has that below it. */
static char *entry_of(const char *directory, const char *prefix)
{
	DIR *open = opendir(directory);
	char *found = NULL;
	for (struct dirent *entry; open != NULL && found == NULL && (entry = readdir(open)) != NULL;)
		if (entry->d_name[0] != '.' && strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
			found = need(strdup(entry->d_name));
	if (open != NULL)
		closedir(open);
	return found;
}

static char *look(const char *address, const char *kind)
{
	struct text path = { 0 };
	text_format(&path, "%s/%s", place.pci, address);
	char *virtio = entry_of(path.data, "virtio"), *name = NULL;
	if (virtio != NULL) {
		text_format(&path, "/%s/%s", virtio, kind);
		name = entry_of(path.data, "");
	}
	free(virtio);
	free(path.data);
	return name;
}

/* A rescan comes back before the drivers have what it found. */
static char *wait_for(const char *address, const char *kind)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	int64_t until = monotonic_ms() + WAIT_MS;
	char *name;
	while ((name = look(address, kind)) == NULL && monotonic_ms() < until)
		nanosleep(&pause, NULL);
	if (name == NULL)
		fail(ENODEV, "no %s device at %s", kind, address);
	return name;
}

char *device_block(const char *address)
{
	struct text path = { 0 };
	char *name = wait_for(address, "block");
	text_format(&path, "/dev/%s", name);
	free(name);
	return path.data;
}

char *device_interface(const char *address)
{
	return wait_for(address, "net");
}
