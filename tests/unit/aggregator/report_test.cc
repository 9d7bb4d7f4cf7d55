#include "aggregator/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "aggregator/report_data.h"
#include "nlohmann/json.hpp"

namespace splitft::aggregator {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

struct Shape {
  int64_t steps = 0;
  int clients = 0;
};

control::JobEvent Step(int64_t step, int clients) {
  control::JobEvent event;
  event.set_step(step);
  control::StepFigures& figures = *event.mutable_figures();
  figures.set_loss(4.0 / (1.0 + static_cast<double>(step) / 100.0));
  figures.set_tokens(512);
  figures.set_seconds(0.25);
  for (int i = 0; i < clients; ++i) {
    control::ClientState& client = *event.add_clients();
    client.set_name(absl::StrCat("client-", i));
    client.set_codec("fp32");
    client.set_cut_layer(step > 50 ? 2 : 1);
    client.set_loss(figures.loss() + i);
    client.set_tokens(100);
    client.set_wait_seconds(0.125);
    client.set_bytes_up(300);
    client.set_bytes_down(200);
    (*client.mutable_bytes_by_kind())["HiddenUp"] = 300;
    (*client.mutable_bytes_by_kind())["GradientDown"] = 200;
  }
  return event;
}

ReportInput Input(const Shape& shape) {
  ReportInput input{
      .job = "quickstart", .model = "/models/base", .manifest = "kind: FineTuneJob", .reason = "Completed"};
  for (int64_t step = 1; step <= shape.steps; ++step) {
    input.history.Add(Step(step, shape.clients));
  }
  return input;
}

// The JSON that the page's script reads.
nlohmann::json EmbeddedData(const std::string& page) {
  const std::string open = "<script type=\"application/json\" id=\"data\">";
  const size_t begin = page.find(open) + open.size();
  return nlohmann::json::parse(page.substr(begin, page.find("</script>", begin) - begin));
}

TEST(Report, HoldsTheFiguresOfTheJob) {
  const auto data = EmbeddedData(RenderReport(Input({.steps = 100, .clients = 2})));
  EXPECT_EQ(data["steps"].size(), 100u);
  EXPECT_EQ(data["steps"][99], 100);
  EXPECT_EQ(data["loss"][99], 2.0);
  EXPECT_EQ(data["rate"][0], 2048);
  ASSERT_EQ(data["clients"].size(), 2u);
  EXPECT_EQ(data["clients"][1]["name"], "client-1");
  EXPECT_EQ(data["clients"][1]["loss"][99], 3.0);
  EXPECT_THAT(data["clients"][0]["time"], ElementsAre(0, 0, 0, 12.5));
  EXPECT_EQ(data["clients"][0]["up"], nlohmann::json::parse("[[0,30000]]"));
  EXPECT_EQ(data["clients"][0]["down"], nlohmann::json::parse("[[1,20000]]"));
  // The cut moved at step 51, the curve's 51st point.
  EXPECT_EQ(data["clients"][0]["cuts"], nlohmann::json::parse("[[0,1],[50,2]]"));
}

TEST(Report, LoadsNothing) {
  const std::string page = RenderReport(Input({.steps = 3, .clients = 1}));
  EXPECT_THAT(page, HasSubstr("default-src 'none'"));
  EXPECT_THAT(
      page, AllOf(Not(HasSubstr("src=")), Not(HasSubstr("url(")), Not(HasSubstr("@import")), Not(HasSubstr("fetch("))));
}

TEST(Report, LeavesNoPlaceholder) {
  const std::string page = RenderReport(Input({.steps = 3, .clients = 1}));
  EXPECT_THAT(page, Not(HasSubstr("{{")));
}

TEST(Report, EscapesWhateverItIsGiven) {
  const std::string evil = "</script><script>alert('x')</script>{{data}}";
  ReportInput input{.job = evil, .model = evil, .manifest = evil, .reason = evil};
  control::JobEvent event = Step(1, 1);
  event.mutable_clients(0)->set_name(evil);
  event.mutable_clients(0)->set_codec(evil);
  (*event.mutable_clients(0)->mutable_bytes_by_kind())[evil] = 1;
  input.history.Add(event);
  const std::string page = RenderReport(input);
  EXPECT_THAT(page, Not(HasSubstr("<script>alert")));
  EXPECT_THAT(page, HasSubstr("&lt;/script&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;{{data}}"));
  EXPECT_EQ(EmbeddedData(page)["clients"][0]["name"], evil);
}

TEST(Report, SurvivesAJobWithoutSteps) {
  const auto data = EmbeddedData(RenderReport(Input({})));
  EXPECT_TRUE(data["steps"].empty());
  EXPECT_TRUE(data["clients"].empty());
}

TEST(Report, WritesWhatIsNotANumberAsNull) {
  ReportInput input = Input({});
  control::JobEvent event = Step(1, 0);
  event.mutable_figures()->set_loss(std::nan(""));
  input.history.Add(event);
  EXPECT_TRUE(EmbeddedData(RenderReport(input))["loss"][0].is_null());
}

TEST(Report, OfALongJobStaysSmall) {
  const std::string page = RenderReport(Input({.steps = 100'000, .clients = 3}));
  EXPECT_LT(page.size(), 1'000'000u);
  const auto data = EmbeddedData(page);
  EXPECT_LE(data["steps"].size(), 1000u);
  EXPECT_EQ(data["steps"].back(), 100'000);
}

TEST(EscapeHtml, ReplacesWhatHtmlReads) { EXPECT_EQ(EscapeHtml("a<b>&\"c'"), "a&lt;b&gt;&amp;&quot;c&#39;"); }

}  // namespace
}  // namespace splitft::aggregator
