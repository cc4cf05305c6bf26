#include "records.h"

#include "frames.h"

#include <stdlib.h>
#include <string.h>

enum shape { UNKNOWN, NOTHING, BYTES, TEXT, TEXTS, NAMED, FIXED };

/* What a value is, and how many bytes (FIXED) or at least how many texts (TEXTS) it has; NAMED is a text, its NUL, and bytes. */
static const struct {
	uint8_t shape, size;
} shapes[] = {
	[TAG_TIME] = { FIXED, 8 },
	[TAG_ENTROPY] = { BYTES, 0 },
	[TAG_RESCAN] = { NOTHING, 0 },
	[TAG_LAYER] = { TEXT, 0 },
	[TAG_TOP] = { TEXT, 0 },
	[TAG_SHARE] = { TEXT, 0 },
	[TAG_INTERFACE] = { TEXTS, 3 },
	[TAG_ROUTE] = { TEXTS, 3 },
	[TAG_HOSTNAME] = { TEXT, 0 },
	[TAG_DOMAINNAME] = { TEXT, 0 },
	[TAG_SYSCTL] = { TEXTS, 2 },
	[TAG_FILE] = { NAMED, 0 },
	[TAG_MOUNT] = { TEXTS, 3 },
	[TAG_MASKED] = { TEXT, 0 },
	[TAG_READONLY] = { TEXT, 0 },
	[TAG_DEVICE] = { TEXTS, 7 },
	[TAG_ROOT_READONLY] = { NOTHING, 0 },
	[TAG_CGROUP] = { TEXTS, 2 },
	[TAG_INIT] = { NOTHING, 0 },
	[TAG_CAPACITY] = { NOTHING, 0 },
	[TAG_HARDWARE] = { TEXTS, 2 },
	[TAG_STAND_IN] = { TEXTS, 2 },
	[TAG_ARGS] = { TEXTS, 1 },
	[TAG_ENV] = { TEXTS, 0 },
	[TAG_CWD] = { TEXT, 0 },
	[TAG_USER] = { TEXT, 0 },
	[TAG_GROUPS] = { TEXTS, 0 },
	[TAG_TERMINAL] = { FIXED, 4 },
	[TAG_STDIN] = { NOTHING, 0 },
	[TAG_CAPABILITIES] = { FIXED, 40 },
	[TAG_RLIMIT] = { FIXED, 20 },
	[TAG_NO_NEW_PRIVILEGES] = { NOTHING, 0 },
	[TAG_SECCOMP] = { BYTES, 0 },
	[TAG_OOM_SCORE_ADJ] = { FIXED, 4 },
	[TAG_UMASK] = { FIXED, 4 },
	[TAG_PRIVILEGED] = { NOTHING, 0 },
	[TAG_HOLD] = { NOTHING, 0 },
	[TAG_SIGNAL] = { FIXED, 4 },
	[TAG_SIZE] = { FIXED, 4 },
	[TAG_END] = { NOTHING, 0 },
	[TAG_PATH] = { TEXT, 0 },
	[TAG_WHOLE] = { NOTHING, 0 },
	[TAG_FOLLOW] = { NOTHING, 0 },
	[TAG_UPPER] = { NOTHING, 0 },
	[TAG_BARE] = { NOTHING, 0 },
	[TAG_KEEP_KIND] = { NOTHING, 0 },
	[TAG_UNMOUNTED] = { NOTHING, 0 },
	[TAG_LISTENERS] = { NOTHING, 0 },
	[TAG_NAME] = { TEXT, 0 },
	[TAG_STAT] = { FIXED, 40 },
	[TAG_LINK] = { TEXT, 0 },
	[TAG_HARD_LINK] = { TEXT, 0 },
	[TAG_XATTR] = { NAMED, 0 },
	[TAG_FAILED] = { BYTES, 0 },
	[TAG_OPEN] = { TEXTS, 3 },
	[TAG_TAP] = { TEXTS, 2 },
	[TAG_QEMU] = { TEXTS, 1 },
	[TAG_PRELOAD] = { TEXT, 0 },
	[TAG_OWNER] = { FIXED, 8 },
	[TAG_SHARES] = { TEXTS, 1 },
	[TAG_CONFIGURE] = { BYTES, 0 },
	[TAG_RUN] = { BYTES, 0 },
	[TAG_RAM] = { TEXTS, 2 },
	[TAG_CONSOLE] = { NOTHING, 0 },
	[TAG_COMMANDS] = { BYTES, 0 },
	[TAG_COMMANDS_IN] = { BYTES, 0 },
	[TAG_RESTORE] = { BYTES, 0 },
};

bool record_next(const struct records *records, size_t *at, struct record *record)
{
	size_t rest = records->length - *at;
	if (rest < RECORD_HEADER)
		return false;
	const uint8_t *header = records->data + *at;
	*record = (struct record){ get_u16(header), get_u32(header + 4), header + RECORD_HEADER };
	if (get_u16(header + 2) != 0 || record->length > rest - RECORD_HEADER)
		return false;
	*at += RECORD_HEADER + record->length;
	return true;
}

bool record_find(const struct records *records, size_t *at, enum tag tag, struct record *record)
{
	while (record_next(records, at, record))
		if (record->tag == tag)
			return true;
	return false;
}

bool record_has(const struct records *records, enum tag tag)
{
	struct record record;
	size_t at = 0;
	return record_find(records, &at, tag, &record);
}

static bool has_shape(const struct record *record)
{
	const uint8_t *value = record->value;
	uint32_t length = record->length;
	switch (record->tag < sizeof shapes / sizeof *shapes ? shapes[record->tag].shape : UNKNOWN) {
	case NOTHING:
		return length == 0;
	case BYTES:
		return true;
	case TEXT:
		return memchr(value, '\0', length) == NULL;
	case TEXTS:
		return record_texts(record, NULL, 0) >= shapes[record->tag].size && (length == 0 || value[length - 1] == '\0');
	case NAMED:
		return memchr(value, '\0', length) != NULL;
	case FIXED:
		return length == shapes[record->tag].size;
	default:
		return false;
	}
}

static bool is_among(uint16_t tag, const enum tag *tags, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (tags[i] == tag)
			return true;
	return false;
}

bool records_valid(const struct records *records, const enum tag *tags, size_t count)
{
	struct record record;
	size_t at = 0;
	while (record_next(records, &at, &record))
		if (!is_among(record.tag, tags, count) || !has_shape(&record))
			return false;
	return at == records->length;
}

char *record_text(const struct records *records, enum tag tag)
{
	struct record record;
	size_t at = 0;
	if (!record_find(records, &at, tag, &record))
		return NULL;
	char *text = malloc((size_t)record.length + 1);
	if (text == NULL)
		abort();
	memcpy(text, record.value, record.length);
	text[record.length] = '\0';
	return text;
}

size_t record_texts(const struct record *record, const char *texts[], size_t most)
{
	size_t count = 0;
	const uint8_t *end = record->value + record->length;
	for (const uint8_t *at = record->value; at < end; count++) {
		if (count < most)
			texts[count] = (const char *)at;
		const uint8_t *nul = memchr(at, '\0', (size_t)(end - at));
		if (nul == NULL)
			return count;
		at = nul + 1;
	}
	return count;
}
