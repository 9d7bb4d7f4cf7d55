#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "tests/support/kube/api_server.h"

namespace splitft {

// One API server for all tests of a program, each with names or a namespace of its own:
//
//   auto* const environment =
//       static_cast<ApiServerEnvironment*>(::testing::AddGlobalTestEnvironment(new ApiServerEnvironment));
class ApiServerEnvironment : public ::testing::Environment {
 public:
  void SetUp() override {
    absl::StatusOr<std::unique_ptr<TestApiServer>> server = TestApiServer::Start();
    ASSERT_TRUE(server.ok()) << server.status();  // no test runs then
    server_ = *std::move(server);
  }
  void TearDown() override { server_.reset(); }

  TestApiServer& server() const { return *server_; }

 private:
  std::unique_ptr<TestApiServer> server_;
};

}  // namespace splitft
