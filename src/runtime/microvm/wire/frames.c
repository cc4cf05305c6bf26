#include "frames.h"

static bool has_shape(const struct frame *frame)
{
	const uint8_t *payload = frame->payload;
	uint32_t length = frame->length;
	switch (frame->type) {
	case FRAME_CALL:
		return length >= CALL_HEADER && get_u32(payload + 1) <= BODY_MOST && length - CALL_HEADER <= get_u32(payload + 1);
	case FRAME_BODY:
		return true;
	case FRAME_DATA:
		return length >= 1 && payload[0] < CHANNELS;
	case FRAME_CREDIT:
		return length == 5 && payload[0] < CHANNELS;
	case FRAME_CONTROL:
		return length == 5 && (payload[0] == CONTROL_SIGNAL || payload[0] == CONTROL_SIZE);
	case FRAME_CANCEL:
		return length == 0;
	case FRAME_EVENT:
		return length >= 1;
	case FRAME_RESULT:
		return length >= 4;
	default:
		return false;
	}
}

ssize_t frame_parse(const uint8_t *data, size_t length, struct frame *frame)
{
	if (length < FRAME_HEADER)
		return 0;
	*frame = (struct frame){ data[0], get_u16(data + 2), get_u32(data + 4), data + FRAME_HEADER };
	/* Seen before all of it came: nobody waits for the end of what is too long. */
	if (data[1] != 0 || frame->type < FRAME_CALL || frame->type > FRAME_RESULT || frame->length > PAYLOAD_MOST)
		return -1;
	if (length - FRAME_HEADER < frame->length)
		return 0;
	return has_shape(frame) ? (ssize_t)(FRAME_HEADER + frame->length) : -1;
}

void frame_header(uint8_t header[FRAME_HEADER], enum frame_type type, uint16_t stream, size_t length)
{
	header[0] = (uint8_t)type;
	header[1] = 0;
	put_u16(header + 2, stream);
	put_u32(header + 4, (uint32_t)length);
}

uint16_t get_u16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

uint32_t get_u32(const uint8_t *at)
{
	return (uint32_t)get_u16(at) << 16 | get_u16(at + 2);
}

uint64_t get_u64(const uint8_t *at)
{
	return (uint64_t)get_u32(at) << 32 | get_u32(at + 4);
}

void put_u16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

void put_u32(uint8_t *at, uint32_t value)
{
	put_u16(at, (uint16_t)(value >> 16));
	put_u16(at + 2, (uint16_t)value);
}

void put_u64(uint8_t *at, uint64_t value)
{
	put_u32(at, (uint32_t)(value >> 32));
	put_u32(at + 4, (uint32_t)value);
}
