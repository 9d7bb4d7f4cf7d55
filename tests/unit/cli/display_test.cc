#include "cli/display.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "cli/screen.h"
#include "cli/text_format.h"

namespace splitft::cli {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

JobView View() {
  return {.job = "quickstart",
          .phase = control::TRAINING,
          .step = 122,
          .total_steps = 200,
          .loss = 3.21431,
          .eval_loss = 3.30121,
          .tokens_per_second = 3412.4,
          .elapsed = seconds(49),
          .left = seconds(31),
          .clients = {{.name = "hospital",
                       .connected = true,
                       .cut_layer = 2,
                       .loss = 3.1,
                       .tokens_per_second = 1234,
                       .bytes_up = 12'345'678,
                       .bytes_down = 13'456'789,
                       .time = {.head_forward = .2, .tail = .3, .head_backward = .25, .wait = .25}},
                      {.name = "bank",
                       .connected = true,
                       .cut_layer = 1,
                       .loss = 3.4,
                       .tokens_per_second = 987,
                       .bytes_up = 8'000'000,
                       .bytes_down = 8'100'000,
                       .time = {.head_forward = .1, .tail = .1, .head_backward = .1, .wait = .7}},
                      {.name = "law-office", .cut_layer = 3}}};
}

TEST(Display, AtEightyColumns) {
  EXPECT_THAT(RenderDisplay(View(), {.width = 80}),
              ElementsAre("  quickstart  training                                                     0:49",  //
                          "",                                                                                 //
                          "    client      cut     loss  tokens/s      sent  received  where time goes",      //
                          "  ● hospital      2   3.1000     1,234   12.3 MB   13.5 MB  fffftttttbbbbb.....",  //
                          "  ● bank          1   3.4000       987   8.00 MB   8.10 MB  ffttbb.............",  //
                          "  ○ law-office    3           not connected",                                      //
                          "  f forward   t tail and loss   b backward   . waiting",                           //
                          "",                                                                                 //
                          "  ━━━━━━━━━━━━━━───────── step 122/200  loss 3.2143  0:31 left  3,412 tokens/s"));
}

TEST(Display, DropsTrafficThenTimeOnNarrowTerminals) {
  EXPECT_THAT(RenderDisplay(View(), {.width = 60}),
              ElementsAre("  quickstart  training                                 0:49",  //
                          "",                                                             //
                          "    client      cut     loss  tokens/s  where time goes",      //
                          "  ● hospital      2   3.1000     1,234  ffttttbbb...",         //
                          "  ● bank          1   3.4000       987  ftb.........",         //
                          "  ○ law-office    3           not connected",                  //
                          "  f forward   t tail and loss   b backward   . waiting",       //
                          "",                                                             //
                          "  ━━━━━━━━━━━╸─────── step 122/200  loss 3.2143  0:31 left"));
  EXPECT_THAT(RenderDisplay(View(), {.width = 44}),
              ElementsAre("  quickstart  training                 0:49",  //
                          "",                                             //
                          "    client      cut     loss  tokens/s",       //
                          "  ● hospital      2   3.1000     1,234",       //
                          "  ● bank          1   3.4000       987",       //
                          "  ○ law-office    3           not connected",  //
                          "",                                             //
                          "  ━━━━━━━━╸───── step 122/200  loss 3.2143"));
}

TEST(Display, InAsciiAndFewRows) {
  EXPECT_THAT(RenderDisplay(View(), {.width = 80, .height = 9, .unicode = false}),
              ElementsAre("  quickstart  training                                                     0:49",  //
                          "",                                                                                 //
                          "    client      cut     loss  tokens/s      sent  received  where time goes",      //
                          "  * hospital      2   3.1000     1,234   12.3 MB   13.5 MB  fffftttttbbbbb.....",  //
                          "    and 2 more",                                                                   //
                          "  f forward   t tail and loss   b backward   . waiting",                           //
                          "",                                                                                 //
                          "  ==============--------- step 122/200  loss 3.2143  0:31 left  3,412 tokens/s"));
}

TEST(Display, NeverFillsTheTerminal) {
  JobView view = View();
  for (int i = 0; i < 40; ++i) {
    view.clients.push_back({.name = absl::StrCat("a-client-with-quite-a-long-name-", i), .connected = true});
  }
  for (size_t width = 1; width <= 200; ++width) {
    for (const size_t height : {1u, 2u, 5u, 7u, 8u, 24u, 60u}) {
      for (const bool color : {false, true}) {
        const auto lines = RenderDisplay(view, {.width = width, .height = height, .color = color});
        EXPECT_LE(lines.size(), std::max<size_t>(1, height - 1)) << width << " x " << height;
        for (const std::string& line : lines) {
          EXPECT_LE(PaintedWidth(line), std::max<size_t>(1, width - 1)) << width << " x " << height << ": " << line;
        }
      }
    }
  }
}

TEST(Display, ColourChangesNoTextButTheBars) {
  const auto lines = RenderDisplay(View(), {.width = 80, .color = true});
  EXPECT_EQ(
      lines[0],
      "  \x1b[1mquickstart\x1b[0m  training                                                     \x1b[2m0:49\x1b[0m");
  EXPECT_THAT(lines[3], HasSubstr("\x1b[36m████\x1b[0m\x1b[34m█████\x1b[0m\x1b[35m█████\x1b[0m\x1b[90m█████\x1b[0m"));
}

TEST(Display, BeforeTheFirstStep) {
  const JobView view{.job = "quickstart",
                     .phase = control::WAITING_FOR_CLIENTS,
                     .clients = {{.name = "bank", .connected = true, .cut_layer = 1}}};
  EXPECT_THAT(RenderDisplay(view, {.width = 60, .height = 8}),
              ElementsAre("  quickstart  waiting for clients                      0:00",  //
                          "",                                                             //
                          "    client  cut     loss  tokens/s  where time goes",          //
                          "  ● bank      1",                                              //
                          "  f forward   t tail and loss   b backward   . waiting",       //
                          "",                                                             //
                          "  ──────────────────────────────────────── step 0/0"));
}

TEST(PaintedWidth, EscapeSequencesTakeNoRoom) {
  EXPECT_EQ(PaintedWidth("\x1b[36m██\x1b[0m x"), 4u);
  EXPECT_EQ(PaintedWidth("plain"), 5u);
}

// The lines a log gets of a job whose every step is seen.
std::vector<std::string> LogOf(int64_t steps, int64_t most_lines) {
  PlainProgress plain(most_lines);
  std::vector<std::string> lines;
  for (int64_t step = 0; step <= steps; ++step) {
    const JobView view{.phase = control::TRAINING, .step = step, .total_steps = steps};
    if (const auto line = plain.Next(view); line.has_value()) {
      lines.push_back(*line);
    }
  }
  return lines;
}

TEST(PlainProgress, ShortJobsShowEveryStep) {
  EXPECT_THAT(LogOf(3, 50), ElementsAre("training", "step 1/3", "step 2/3", "step 3/3"));
}

TEST(PlainProgress, LongJobsShowFirstLastAndRoundStepsBetween) {
  EXPECT_THAT(LogOf(100, 4),
              ElementsAre("training", "step 1/100", "step 25/100", "step 50/100", "step 75/100", "step 100/100"));
  EXPECT_LE(LogOf(100'000, 50).size(), 53u);
}

TEST(PlainProgress, StepsThatWereMissedDoNotStopTheLines) {
  PlainProgress plain(4);
  const auto at = [&plain](int64_t step) {
    return plain.Next({.phase = control::TRAINING, .step = step, .total_steps = 100});
  };
  EXPECT_EQ(at(7), "step 7/100");
  EXPECT_EQ(at(31), "step 31/100");
  EXPECT_EQ(at(49), std::nullopt);
  EXPECT_EQ(at(51), "step 51/100");
  EXPECT_EQ(at(100), "step 100/100");
  EXPECT_EQ(at(100), std::nullopt);
}

TEST(PlainProgress, PhasesAreNamedOnceAndNotBetweenSteps) {
  PlainProgress plain(4);
  const auto in = [&plain](control::Phase phase, int64_t step) {
    return plain.Next({.phase = phase, .step = step, .total_steps = 100});
  };
  EXPECT_EQ(in(control::WAITING_FOR_CLIENTS, 0), "waiting for clients");
  EXPECT_EQ(in(control::WAITING_FOR_CLIENTS, 0), std::nullopt);
  EXPECT_EQ(in(control::TRAINING, 1), "step 1/100");
  EXPECT_EQ(in(control::EVALUATING, 1), std::nullopt);
  EXPECT_EQ(in(control::TRAINING, 2), std::nullopt);
  EXPECT_EQ(in(control::WRITING, 2), "writing the adapter and the report");
}

TEST(PhaseText, NamesWhoWasLostOnceTheJobHasBegun) {
  JobView view{.phase = control::WAITING_FOR_CLIENTS, .clients = {{.name = "bank"}, {.name = "hospital"}}};
  EXPECT_EQ(PhaseText(view), "waiting for clients");
  view.total_steps = 10;
  EXPECT_EQ(PhaseText(view), "waiting for bank, hospital");
  view.clients[1].connected = true;
  EXPECT_EQ(PhaseText(view), "waiting for bank");
  view.clients.insert(view.clients.end(), {{.name = "c"}, {.name = "d"}, {.name = "e"}});
  EXPECT_EQ(PhaseText(view), "waiting for bank, c, d and 1 more");
  view.phase = control::TRAINING;
  EXPECT_EQ(PhaseText(view), "training");
}

TEST(PlainProgress, EveryWaitForALostClientIsNamed) {
  PlainProgress plain(4);
  JobView view{.phase = control::TRAINING, .step = 1, .total_steps = 100, .clients = {{.name = "bank"}}};
  EXPECT_EQ(plain.Next(view), "step 1/100");
  for (int i = 0; i < 2; ++i) {
    view.phase = control::WAITING_FOR_CLIENTS;
    EXPECT_EQ(plain.Next(view), "waiting for bank");
    EXPECT_EQ(plain.Next(view), std::nullopt);
    view.phase = control::TRAINING;
    EXPECT_EQ(plain.Next(view), std::nullopt);
  }
}

}  // namespace
}  // namespace splitft::cli
