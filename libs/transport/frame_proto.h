#pragma once

#include "absl/status/statusor.h"
#include "api/proto/frame.pb.h"
#include "libs/protocol/frame.h"

namespace splitft::transport {

// A frame without its payload, as what api/proto/frame.proto writes on the wire.
wire::FrameHeader ToProto(const protocol::Frame& frame);

// The way back. InvalidArgument, naming the field, for values that no FrameKind or WireFormat has. A Hello's unknown
// formats are left out: a newer client may know more than this aggregator.
absl::StatusOr<protocol::Frame> FromProto(const wire::FrameHeader& header);

}  // namespace splitft::transport
