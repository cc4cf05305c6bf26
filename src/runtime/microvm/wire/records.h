/* The records that bodies, trees' entries and hull-vm's file are made of: protocol.md. */
#ifndef HULL_RECORDS_H
#define HULL_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RECORD_HEADER = 8 };

enum tag {
	TAG_TIME = 0x01,
	TAG_ENTROPY,
	TAG_RESCAN,
	TAG_LAYER,
	TAG_TOP,
	TAG_SHARE,
	TAG_INTERFACE,
	TAG_ROUTE,
	TAG_HOSTNAME,
	TAG_DOMAINNAME,
	TAG_SYSCTL,
	TAG_FILE,
	TAG_MOUNT,
	TAG_MASKED,
	TAG_READONLY,
	TAG_DEVICE,
	TAG_ROOT_READONLY,
	TAG_CGROUP,
	TAG_INIT,
	TAG_CAPACITY,
	TAG_HARDWARE,
	TAG_STAND_IN,
	TAG_ARGS = 0x20,
	TAG_ENV,
	TAG_CWD,
	TAG_USER,
	TAG_GROUPS,
	TAG_TERMINAL,
	TAG_STDIN,
	TAG_CAPABILITIES,
	TAG_RLIMIT,
	TAG_NO_NEW_PRIVILEGES,
	TAG_SECCOMP,
	TAG_OOM_SCORE_ADJ,
	TAG_UMASK,
	TAG_PRIVILEGED,
	TAG_HOLD,
	TAG_SIGNAL = 0x30,
	TAG_SIZE,
	TAG_END,
	TAG_PATH = 0x40,
	TAG_WHOLE,
	TAG_FOLLOW,
	TAG_UPPER,
	TAG_BARE,
	TAG_KEEP_KIND,
	TAG_UNMOUNTED,
	TAG_LISTENERS = 0x50,
	TAG_NAME = 0x60,
	TAG_STAT,
	TAG_LINK,
	TAG_HARD_LINK,
	TAG_XATTR,
	TAG_FAILED,
	TAG_OPEN = 0x80,
	TAG_TAP,
	TAG_QEMU,
	TAG_PRELOAD,
	TAG_OWNER,
	TAG_SHARES,
	TAG_CONFIGURE,
	TAG_RUN,
	TAG_RAM,
	TAG_CONSOLE,
	TAG_COMMANDS,
	TAG_COMMANDS_IN,
	TAG_RESTORE,
};

struct record {
	uint16_t tag;
	uint32_t length;
	const uint8_t *value;
};

/* Bytes that hold records one after the other. */
struct records {
	const uint8_t *data;
	size_t length;
};

/*
 * The record at `*at`, which then is where the next one begins; false at the end, and where a record is cut off: `*at` is the length
 * only when all were whole.
 */
bool record_next(const struct records *records, size_t *at, struct record *record);

/* The next with this tag from `*at` on. */
bool record_find(const struct records *records, size_t *at, enum tag tag, struct record *record);

bool record_has(const struct records *records, enum tag tag);

/* Whether all records are whole and each has one of these tags, and so a value of that tag's shape (size, NULs, number of texts). */
bool records_valid(const struct records *records, const enum tag *tags, size_t count);

/* The first text with this tag: a copy, for free(); NULL when there is none. Aborts without memory. */
char *record_text(const struct records *records, enum tag tag);

/* text*: how many there are; the first `most` of them are put in `texts`, and point into the record. */
size_t record_texts(const struct record *record, const char *texts[], size_t most);

#endif
