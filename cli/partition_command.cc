#include <filesystem>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "cli/command.h"
#include "cli/text_format.h"
#include "libs/base/status_macros.h"
#include "libs/spec/text_forms.h"
#include "libs/text/partition.h"
#include "libs/text/partition_file.h"

namespace splitft::cli {
namespace {

CommandSpec Spec() {
  return {
      .name = "partition",
      .summary = "Divide a data file over clients: at random, by size, or by length of the records",
      .details =
          "Text is divided by paragraphs, JSONL by lines, CSV by records. --by length is SplitFT's: the records fall "
          "into K classes by length, and each class is divided in proportions drawn from Dir(alpha); a small "
          "alpha gives clients of very different kinds.",
      .positional = "FILE",
      .flags = {{.name = "--clients",
                 .value_name = "N|NAMES",
                 .help = "how many, or their names: hospital,bank,school"},
                {.name = "--out", .value_name = "DIR", .help = "where the clients' files go: DIR/NAME.EXTENSION"},
                {.name = "--by",
                 .value_name = "POLICY",
                 .help = "iid, size or length (default: iid)",
                 .choices = {"iid", "size", "length"}},
                {.name = "--alpha", .value_name = "A", .help = "of --by length (default: 0.5)"},
                {.name = "--classes", .value_name = "K", .help = "of --by length (default: 5)"},
                {.name = "--proportions", .value_name = "P,P,...", .help = "of --by size, one per client: 6,3,1"},
                {.name = "--seed", .value_name = "S", .help = "of the draws (default: 0)"}},
      .examples = {{.command = "splitft partition notes.txt --clients 3 --out data", .what = "three equal parts"},
                   {.command = "splitft partition qa.jsonl --clients hospital,bank --by length --alpha 0.1 --out data",
                    .what = "two clients with records of very different length"}}};
}

absl::StatusOr<std::vector<std::string>> ClientNames(const std::string& clients) {
  int64_t count = 0;
  if (!absl::SimpleAtoi(clients, &count)) {
    std::vector<std::string> names = absl::StrSplit(clients, ',');
    for (const std::string& name : names) {
      if (!spec::kLabelForm.accepts(name)) {
        return UsageError(absl::StrCat("--clients: \"", name, "\" is not ", std::string(spec::kLabelForm.expected)));
      }
    }
    return names;
  }
  if (count < 1 || count > 10'000) {
    return UsageError(absl::StrCat("--clients: ", count, " is not from 1 to 10,000"));
  }
  std::vector<std::string> names;
  for (int64_t i = 1; i <= count; ++i) {
    names.push_back(absl::StrCat("client-", i));
  }
  return names;
}

absl::StatusOr<text::PartitionOptions> ReadOptions(const Arguments& arguments, size_t clients) {
  text::PartitionOptions options{.clients = static_cast<int>(clients)};
  const std::string policy = arguments.Text("--by", "iid");
  if (policy == "size") {
    options.policy = text::PartitionPolicy::kBySize;
  } else if (policy == "length") {
    options.policy = text::PartitionPolicy::kLengthDirichlet;
  } else if (policy != "iid") {
    return UsageError(absl::StrCat("--by: \"", policy, "\" is not one of iid, size, length"));
  }
  SPLITFT_ASSIGN_OR_RETURN(options.alpha, arguments.Number("--alpha", 0.5, 1e-6, 1e6));
  SPLITFT_ASSIGN_OR_RETURN(const int64_t classes, arguments.Integer("--classes", 5, 1, 1000));
  SPLITFT_ASSIGN_OR_RETURN(const int64_t seed, arguments.Integer("--seed", 0, 0, INT64_MAX));
  options.length_classes = static_cast<int>(classes);
  options.seed = static_cast<uint64_t>(seed);
  for (const std::string& part :
       std::vector<std::string>(absl::StrSplit(arguments.Text("--proportions", ""), ',', absl::SkipEmpty()))) {
    double share = 0;
    if (!absl::SimpleAtod(part, &share) || !(share > 0)) {
      return UsageError(absl::StrCat("--proportions: \"", part, "\" is not a number above 0"));
    }
    options.proportions.push_back(share);
  }
  if (options.policy == text::PartitionPolicy::kBySize && options.proportions.size() != clients) {
    return UsageError(absl::StrCat("--by size needs --proportions with ",
                                   Plural(static_cast<int64_t>(clients), "number"), ", one per client; it has ",
                                   options.proportions.size()));
  }
  return options;
}

std::string ShareTable(const std::vector<std::filesystem::path>& files, const std::vector<text::ClientShare>& shares,
                       int length_classes) {
  TextTable table{.header = {"file", "records", "size", "mean words", "median"},
                  .right_aligned = {false, true, true, true, true}};
  const int shown_classes = length_classes <= 8 ? length_classes : 0;
  for (int i = 0; i < shown_classes; ++i) {
    table.header.push_back(i == 0 ? "shortest" : i + 1 == shown_classes ? "longest" : absl::StrCat("class ", i + 1));
    table.right_aligned.push_back(true);
  }
  for (size_t i = 0; i < shares.size(); ++i) {
    std::vector<std::string> row = {files[i].string(), FormatCount(shares[i].records), FormatBytes(shares[i].bytes),
                                    absl::StrFormat("%.1f", shares[i].mean_length),
                                    absl::StrFormat("%.1f", shares[i].median_length)};
    for (int c = 0; c < shown_classes; ++c) {
      row.push_back(FormatCount(shares[i].per_class[static_cast<size_t>(c)]));
    }
    table.rows.push_back(std::move(row));
  }
  return FormatTable(table);
}

absl::Status Divide(const Arguments& arguments, const CommandContext& context) {
  for (const char* needed : {"--clients", "--out"}) {
    if (!arguments.Has(needed)) {
      return UsageError(absl::StrCat("`splitft partition` needs ", needed, "; see `splitft partition --help`"));
    }
  }
  SPLITFT_ASSIGN_OR_RETURN(const std::vector<std::string> names, ClientNames(arguments.Text("--clients", "")));
  SPLITFT_ASSIGN_OR_RETURN(const text::PartitionOptions options, ReadOptions(arguments, names.size()));
  SPLITFT_ASSIGN_OR_RETURN(const text::PartitionFile file,
                           text::PartitionFile::Open(*arguments.positional(), spec::DataFormat::kAuto));
  const std::vector<int64_t> lengths = file.WordCounts();
  SPLITFT_ASSIGN_OR_RETURN(const text::Partition partition, text::DivideRecords(lengths, options));
  SPLITFT_ASSIGN_OR_RETURN(const std::vector<std::filesystem::path> files,
                           file.WriteParts(partition, names, arguments.Text("--out", "")));
  const std::vector<text::ClientShare> shares = text::Summarize(partition, lengths, file.ByteCounts(), options);
  context.out << ShareTable(files, shares, options.length_classes);
  return absl::OkStatus();
}

}  // namespace

Command PartitionCommand() { return {.spec = Spec(), .run = &Divide}; }

}  // namespace splitft::cli
