#include "monitor.h"

#include <stdio.h>

/*
 * How many bytes the UTF-8 character at `at` takes; 0 when there is none. By RFC 3629: no overlong forms, no surrogates,
 * nothing above U+10FFFF.
 */
static size_t character_length(const unsigned char *at, size_t left)
{
	unsigned char first = at[0];
	size_t length;
	unsigned char low = 0x80, high = 0xbf;
	if (first >= 0xc2 && first <= 0xdf)
		length = 2;
	else if (first >= 0xe0 && first <= 0xef)
		length = 3;
	else if (first >= 0xf0 && first <= 0xf4)
		length = 4;
	else
		return 0;
	if (first == 0xe0)
		low = 0xa0;
	else if (first == 0xed)
		high = 0x9f;
	else if (first == 0xf0)
		low = 0x90;
	else if (first == 0xf4)
		high = 0x8f;
	if (left < length || at[1] < low || at[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++)
		if (at[i] < 0x80 || at[i] > 0xbf)
			return 0;
	return length;
}

/* U+2028 and U+2029 end a line in JavaScript, so Go escapes them. */
static bool is_line_separator(const unsigned char *at, size_t length)
{
	return length == 3 && at[0] == 0xe2 && at[1] == 0x80 && (at[2] == 0xa8 || at[2] == 0xa9);
}

static bool is_plain(unsigned char byte)
{
	return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\' && byte != '<' && byte != '>' && byte != '&';
}

void json_escape(const unsigned char *data, size_t length, json_sink sink)
{
	size_t start = 0;
	for (size_t i = 0; i < length;) {
		size_t size = 1;
		if (is_plain(data[i]) ||
		    (data[i] >= 0x80 && (size = character_length(data + i, length - i)) > 0 &&
		     !is_line_separator(data + i, size))) {
			i += size;
			continue;
		}
		if (i > start)
			sink((const char *)data + start, i - start);
		char escape[8];
		int written;
		if (data[i] == '"' || data[i] == '\\')
			written = snprintf(escape, sizeof escape, "\\%c", data[i]);
		else if (data[i] == '\n' || data[i] == '\r')
			written = snprintf(escape, sizeof escape, "\\%c", data[i] == '\n' ? 'n' : 'r');
		else if (data[i] < 0x80)
			written = snprintf(escape, sizeof escape, "\\u%04x", data[i]);
		else if (size == 3)
			written = snprintf(escape, sizeof escape, "\\u202%x", data[i + 2] & 0x0f);
		else
			written = snprintf(escape, sizeof escape, "\\ufffd");
		sink(escape, (size_t)written);
		/* Go replaces each byte that is no character by itself. */
		i += size > 0 ? size : 1;
		start = i;
	}
	if (length > start)
		sink((const char *)data + start, length - start);
}
