#include "libs/telemetry/http_answer.h"

#include "absl/strings/str_cat.h"

namespace splitft::telemetry {
namespace {

std::string_view ReasonOf(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 431:
      return "Request Header Fields Too Large";
    case 503:
      return "Service Unavailable";
    default:
      return "Other";
  }
}

// Text up to the first of `mark`, which `rest` loses with it; all of it where there is none.
std::string_view TakeUntil(std::string_view* rest, char mark) {
  const size_t end = rest->find(mark);
  const std::string_view taken = rest->substr(0, end);
  rest->remove_prefix(end == std::string_view::npos ? rest->size() : end + 1);
  return taken;
}

}  // namespace

std::string AnswerTo(std::string_view head, const HttpPaths& paths) {
  std::string_view line = head.substr(0, head.find_first_of("\r\n"));
  const std::string_view method = TakeUntil(&line, ' ');
  std::string_view target = TakeUntil(&line, ' ');
  if (!target.starts_with('/') || !line.starts_with("HTTP/1.")) {
    return FormatAnswer({.status = 400, .body = "expected an HTTP/1.1 request\n"});
  }
  const auto found = paths.find(TakeUntil(&target, '?'));
  if (found == paths.end()) {
    return FormatAnswer({.status = 404, .body = "no such path\n"});
  }
  if (method != "GET" && method != "HEAD") {
    return FormatAnswer({.status = 405, .body = "only GET and HEAD\n"});
  }
  return FormatAnswer(found->second(), method == "GET");
}

std::string FormatAnswer(const HttpAnswer& answer, bool with_body) {
  return absl::StrCat("HTTP/1.1 ", answer.status, " ", std::string(ReasonOf(answer.status)),
                      "\r\nContent-Type: ", answer.content_type, "\r\nContent-Length: ", answer.body.size(),
                      answer.status == 405 ? "\r\nAllow: GET, HEAD" : "", "\r\nConnection: close\r\n\r\n",
                      with_body ? answer.body : "");
}

}  // namespace splitft::telemetry
