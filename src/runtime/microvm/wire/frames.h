/* Frames between host and guest: protocol.md. */
#ifndef HULL_FRAMES_H
#define HULL_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	FRAME_HEADER = 8,
	PAYLOAD_MOST = 32 * 1024,
	FRAME_MOST = FRAME_HEADER + PAYLOAD_MOST,
	/* u8 method, u32 length of the body. */
	CALL_HEADER = 5,
	BODY_MOST = 4 << 20,
	/* Of each channel, before the other side gives more. */
	FIRST_CREDIT = 65536,
	/* What one DATA frame carries. */
	DATA_MOST = PAYLOAD_MOST - 1,
};

enum frame_type {
	FRAME_CALL = 0x01,
	FRAME_BODY = 0x02,
	FRAME_DATA = 0x03,
	FRAME_CREDIT = 0x04,
	FRAME_CONTROL = 0x05,
	FRAME_CANCEL = 0x06,
	FRAME_EVENT = 0x07,
	FRAME_RESULT = 0x08,
};

enum channel { CHANNEL_IN, CHANNEL_OUT, CHANNEL_ERROR, CHANNELS };
enum control { CONTROL_SIGNAL = 1, CONTROL_SIZE = 2 };
enum event { EVENT_STARTED = 1, EVENT_OOM = 2, EVENT_LISTENING = 3, EVENT_STOPPED = 4 };

enum method {
	METHOD_CONFIGURE = 0x01,
	METHOD_RUN = 0x02,
	METHOD_PING = 0x03,
	METHOD_STATS = 0x04,
	METHOD_SIGNAL_ALL = 0x05,
	METHOD_PROCESSES = 0x06,
	METHOD_WRITE_FILE = 0x07,
	METHOD_SYNC = 0x08,
	METHOD_TREE = 0x09,
	METHOD_PLANT = 0x0a,
	METHOD_MEMORY = 0x0b,
	METHOD_EVENTS = 0x0c,
	METHOD_LIMIT = 0x0d,
	METHOD_SUSPEND = 0x0e,
	METHOD_RESUME = 0x0f,
	METHOD_RESTORE = 0x10,
	METHOD_SHARE = 0x11,
	/* hull-vm's own */
	METHOD_STARTED = 0x80,
	METHOD_SIGNAL = 0x81,
	METHOD_SIZE = 0x82,
	METHOD_CHECKPOINT = 0x83,
};

struct frame {
	uint8_t type;
	uint16_t stream;
	uint32_t length;
	const uint8_t *payload;
};

/*
 * Takes the first frame of `data`: how many bytes it has, 0 when it is not whole yet, -1 when nobody may send such a one: too long, of an
 * unknown type, or of a payload that its type does not have (a CALL without its header, a DATA without its channel). What is right at
 * one time only, or from one side only, is for the caller to see. `frame` points into `data`.
 */
ssize_t frame_parse(const uint8_t *data, size_t length, struct frame *frame);

void frame_header(uint8_t header[FRAME_HEADER], enum frame_type type, uint16_t stream, size_t length);

/* bytes, big endian */
uint16_t get_u16(const uint8_t *at);
uint32_t get_u32(const uint8_t *at);
uint64_t get_u64(const uint8_t *at);
void put_u16(uint8_t *at, uint16_t value);
void put_u32(uint8_t *at, uint32_t value);
void put_u64(uint8_t *at, uint64_t value);

#endif
