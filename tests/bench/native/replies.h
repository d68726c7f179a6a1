/* What the stand-in vendor says: OpenAI chat and Anthropic messages, whole and streamed, each with its usage, since a
 * gateway that charges for tokens reads it. The texts are fixed; only marks and token counts change. */
#ifndef BENCH_REPLIES_H
#define BENCH_REPLIES_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "clock.h"
#include "marks.h"

#define EVENT_BYTES_MAX 2048
#define REPLY_TEXT                                                                                 \
    "A gateway is measured best against an upstream that costs next to nothing: this answer is "   \
    "always the same, about as long as a short reply, and carries a usage that can be charged."

static const char OPENAI_ANSWER[] =
    "{\"id\":\"chatcmpl-bench0000000000000001\",\"object\":\"chat.completion\",\"created\":1760000000,"
    "\"model\":\"bench\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"" REPLY_TEXT
    "\",\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"stop\"}],"
    "\"usage\":{\"prompt_tokens\":200,\"completion_tokens\":40,\"total_tokens\":240,"
    "\"prompt_tokens_details\":{\"cached_tokens\":0},"
    "\"completion_tokens_details\":{\"reasoning_tokens\":0}},\"service_tier\":\"default\"}";

static const char ANTHROPIC_ANSWER[] =
    "{\"id\":\"msg_bench0000000000000001\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"bench\","
    "\"content\":[{\"type\":\"text\",\"text\":\"" REPLY_TEXT
    "\"}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null,"
    "\"usage\":{\"input_tokens\":200,\"cache_creation_input_tokens\":0,"
    "\"cache_read_input_tokens\":0,\"output_tokens\":40}}";

static const char MODELS[] =
    "{\"object\":\"list\",\"data\":[{\"id\":\"bench\",\"object\":\"model\",\"created\":1,\"owned_by\":\"bench\"}]}";

static const char STREAM_HEAD[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                                  "Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n";

#define OPENAI_CHUNK                                                                               \
    "data: {\"id\":\"chatcmpl-bench0000000000000001\",\"object\":\"chat.completion.chunk\","       \
    "\"created\":1760000000,\"model\":\"bench\",\"service_tier\":\"default\",\"choices\":"
#define OPENAI_CHOICE(delta, reason)                                                               \
    OPENAI_CHUNK "[{\"index\":0,\"delta\":" delta ",\"logprobs\":null,\"finish_reason\":" reason "}]}\n\n"
#define ANTHROPIC_EVENT(type, rest) "event: " type "\ndata: {\"type\":\"" type "\"" rest "}\n\n"

static inline void reply_json(struct bytes *out, const char *body)
{
    char head[128];
    int length = snprintf(head, sizeof head,
                          "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                          strlen(body));
    bytes_append(out, head, (size_t)length);
    bytes_append(out, body, strlen(body));
}

/* One piece of text becomes one chunk of the transfer, as vendors send it. */
static inline void reply_piece(struct bytes *out, const char *text, int length)
{
    char size[16];
    bytes_append(out, size, (size_t)snprintf(size, sizeof size, "%x\r\n", (unsigned)length));
    bytes_append(out, text, (size_t)length);
    bytes_append(out, "\r\n", 2);
}

static inline void reply_stream_open(struct bytes *out, bool anthropic)
{
    static const char openai[] = OPENAI_CHOICE("{\"role\":\"assistant\",\"content\":\"\"}", "null");
    static const char messages[] =
        ANTHROPIC_EVENT("message_start",
                        ",\"message\":{\"id\":\"msg_bench0000000000000001\",\"type\":\"message\","
                        "\"role\":\"assistant\",\"model\":\"bench\",\"content\":[],\"stop_reason\":null,"
                        "\"stop_sequence\":null,\"usage\":{\"input_tokens\":200,\"output_tokens\":1}}")
        ANTHROPIC_EVENT("content_block_start",
                        ",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}");
    bytes_append(out, STREAM_HEAD, sizeof STREAM_HEAD - 1);
    if (anthropic)
        reply_piece(out, messages, sizeof messages - 1);
    else
        reply_piece(out, openai, sizeof openai - 1);
}

static inline void reply_stream_chunk(struct bytes *out, bool anthropic)
{
    char mark[32], event[EVENT_BYTES_MAX];
    mark_write(mark, sizeof mark, clock_now_ns());
    const char *format =
        anthropic ? ANTHROPIC_EVENT("content_block_delta",
                                    ",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"%s\"}")
                  : OPENAI_CHOICE("{\"content\":\"%s\"}", "null");
    reply_piece(out, event, snprintf(event, sizeof event, format, mark));
}

static inline void reply_stream_close(struct bytes *out, bool anthropic, bool with_usage, unsigned tokens)
{
    char event[EVENT_BYTES_MAX];
    if (anthropic) {
        const char *format =
            ANTHROPIC_EVENT("content_block_stop", ",\"index\":0")
            ANTHROPIC_EVENT("message_delta", ",\"delta\":{\"stop_reason\":\"end_turn\","
                                             "\"stop_sequence\":null},\"usage\":{\"output_tokens\":%u}")
            ANTHROPIC_EVENT("message_stop", "");
        reply_piece(out, event, snprintf(event, sizeof event, format, tokens));
    } else {
        static const char stop[] = OPENAI_CHOICE("{}", "\"stop\"");
        static const char usage[] = OPENAI_CHUNK "[],\"usage\":{\"prompt_tokens\":200,"
                                                 "\"completion_tokens\":%u,\"total_tokens\":%u}}\n\n";
        static const char done[] = "data: [DONE]\n\n";
        reply_piece(out, stop, sizeof stop - 1);
        if (with_usage)
            reply_piece(out, event, snprintf(event, sizeof event, usage, tokens, tokens + 200));
        reply_piece(out, done, sizeof done - 1);
    }
    bytes_append(out, "0\r\n\r\n", 5);
}

#endif
