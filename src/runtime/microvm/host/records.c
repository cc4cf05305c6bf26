#include "vm.h"

bool record_next(const unsigned char **at, const unsigned char *end, struct record *record)
{
	if (end - *at < HEADER_SIZE)
		return false;
	record->tag = get_u16(*at);
	record->length = get_u32(*at + 4);
	record->value = *at + HEADER_SIZE;
	if (record->length > (size_t)(end - record->value))
		return false;
	*at = record->value + record->length;
	return true;
}

char **record_texts(const struct record *record)
{
	const unsigned char *end = record->value + record->length;
	if (record->length == 0 || end[-1] != '\0')
		return NULL;
	size_t count = 0;
	for (const unsigned char *at = record->value; at < end; at++)
		count += *at == '\0';
	char **texts = allocate((count + 1) * sizeof *texts);
	count = 0;
	for (const unsigned char *at = record->value; at < end; at++)
		if (at == record->value || at[-1] == '\0')
			texts[count++] = (char *)(uintptr_t)at;
	texts[count] = NULL;
	return texts;
}
