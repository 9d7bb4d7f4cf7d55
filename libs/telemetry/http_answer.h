#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace splitft::telemetry {

struct HttpAnswer {
  int status = 200;
  std::string body;
  std::string content_type = "text/plain; charset=utf-8";
};

// What to answer by path: "/healthz".
using HttpPaths = std::map<std::string, std::function<HttpAnswer()>, std::less<>>;

// The whole answer to a request of which `head` is everything up to the empty line: for GET and HEAD that of its path,
// whatever its query; 404, 405 or 400 for others. It says that the connection ends with it.
std::string AnswerTo(std::string_view head, const HttpPaths& paths);

// An answer as it travels, without its body where `with_body` is false.
std::string FormatAnswer(const HttpAnswer& answer, bool with_body = true);

}  // namespace splitft::telemetry
