#include "libs/telemetry/http_answer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace splitft::telemetry {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const HttpPaths& Paths() {
  static const HttpPaths paths{{"/healthz", [] { return HttpAnswer{.body = "ok\n"}; }},
                               {"/readyz", [] { return HttpAnswer{.status = 503, .body = "not yet\n"}; }}};
  return paths;
}

TEST(AnswerTo, IsThatOfThePath) {
  EXPECT_EQ(AnswerTo("GET /healthz HTTP/1.1\r\nHost: a\r\n", Paths()),
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 3\r\n"
            "Connection: close\r\n\r\nok\n");
  EXPECT_THAT(AnswerTo("GET /readyz HTTP/1.0", Paths()), StartsWith("HTTP/1.1 503 Service Unavailable\r\n"));
  EXPECT_THAT(AnswerTo("GET /healthz?verbose HTTP/1.1", Paths()), EndsWith("\r\n\r\nok\n"));
}

TEST(AnswerTo, HeadHasNoBodyButItsLength) {
  EXPECT_THAT(AnswerTo("HEAD /healthz HTTP/1.1", Paths()), HasSubstr("Content-Length: 3\r\n"));
  EXPECT_THAT(AnswerTo("HEAD /healthz HTTP/1.1", Paths()), EndsWith("\r\n\r\n"));
}

TEST(AnswerTo, RefusesTheRest) {
  EXPECT_THAT(AnswerTo("GET /other HTTP/1.1", Paths()), StartsWith("HTTP/1.1 404 Not Found\r\n"));
  const std::string post = AnswerTo("POST /healthz HTTP/1.1", Paths());
  EXPECT_THAT(post, StartsWith("HTTP/1.1 405 Method Not Allowed\r\n"));
  EXPECT_THAT(post, HasSubstr("\r\nAllow: GET, HEAD\r\n"));
  for (const char* nonsense : {"", "\r\n", "GET", "GET /healthz", "GET  /healthz HTTP/1.1", "\x16\x03\x01",
                               "GET http://a/healthz HTTP/1.1", "GET /healthz HTTP/2.0"}) {
    EXPECT_THAT(AnswerTo(nonsense, Paths()), StartsWith("HTTP/1.1 400 Bad Request\r\n")) << nonsense;
  }
}

}  // namespace
}  // namespace splitft::telemetry
