#ifndef HULL_MOUNT_OPTIONS_H
#define HULL_MOUNT_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif

/* A mount's options, as mount(8) and the OCI specification have them, taken apart. */
struct mount_options {
	unsigned long flags;
	unsigned long propagation; /* 0: as it is */
	uint64_t recursive_set, recursive_clear; /* for mount_setattr(2) */
	bool copy_up;
	char *data; /* what is the filesystem's own; NULL: nothing */
};

/* `text` is comma-separated; may be called again for more. */
void mount_options_add(struct mount_options *options, const char *text);

#endif
