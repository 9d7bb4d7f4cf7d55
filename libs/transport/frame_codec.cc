#include "libs/transport/frame_codec.h"

#include <grpcpp/support/slice.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"
#include "libs/transport/frame_proto.h"

namespace splitft::transport {
namespace {

static_assert(std::endian::native == std::endian::little, "tensors travel as they lie in memory");

constexpr std::array<char, 4> kMagic = {'S', 'F', 'T', '1'};

struct Prefix {
  uint32_t header_bytes = 0;
  uint64_t payload_bytes = 0;
};

void WritePrefix(const Prefix& prefix, uint8_t* out) {
  std::memcpy(out, kMagic.data(), kMagic.size());
  std::memcpy(out + 4, &prefix.header_bytes, sizeof(prefix.header_bytes));
  std::memcpy(out + 8, &prefix.payload_bytes, sizeof(prefix.payload_bytes));
}

absl::Status Damaged(const std::string& problem) {
  return absl::InvalidArgumentError(absl::StrCat("not a frame: ", problem));
}

absl::Status OverLimit(const char* what, uint64_t bytes, uint64_t limit) {
  return absl::ResourceExhaustedError(absl::StrCat(what, " is ", bytes, " bytes; expected at most ", limit));
}

absl::StatusOr<Prefix> ReadPrefix(const std::array<uint8_t, kFramePrefixBytes>& bytes, uint64_t message_bytes,
                                  uint64_t max_payload_bytes) {
  if (std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0) {
    return Damaged("it does not begin with SFT1");
  }
  Prefix prefix;
  std::memcpy(&prefix.header_bytes, bytes.data() + 4, sizeof(prefix.header_bytes));
  std::memcpy(&prefix.payload_bytes, bytes.data() + 8, sizeof(prefix.payload_bytes));
  if (prefix.header_bytes > kMaxFrameHeaderBytes) {
    return OverLimit("frame header", prefix.header_bytes, kMaxFrameHeaderBytes);
  }
  if (prefix.payload_bytes > max_payload_bytes) {
    return OverLimit("frame payload", prefix.payload_bytes, max_payload_bytes);
  }
  if (kFramePrefixBytes + prefix.header_bytes + prefix.payload_bytes != message_bytes) {
    return Damaged(absl::StrCat("prefix ", kFramePrefixBytes, ", header ", prefix.header_bytes, " and payload ",
                                prefix.payload_bytes, " bytes do not make its ", message_bytes));
  }
  return prefix;
}

// Reads a message's slices from its beginning to its end.
class SliceReader {
 public:
  explicit SliceReader(const std::vector<grpc::Slice>& slices) : slices_(slices) {}

  // The next `size` bytes, which there are, to `out`.
  void Read(size_t size, void* out) {
    auto* to = static_cast<uint8_t*>(out);
    while (size > 0) {
      const size_t step = std::min(size, slices_[index_].size() - offset_);
      if (step > 0) {
        std::memcpy(to, slices_[index_].begin() + offset_, step);
      }
      to += step;
      size -= step;
      Advance(step);
    }
  }

  // The rest of the message, `size` bytes: shared where possible.
  protocol::Payload TakePayload(size_t size) {
    while (index_ < slices_.size() && offset_ == slices_[index_].size()) {
      Advance(0);
    }
    if (size == 0) {
      return {};
    }
    const uint8_t* begin = slices_[index_].begin() + offset_;
    const bool whole = slices_[index_].size() - offset_ == size;
    // Slices of a few bytes lie within the grpc::Slice itself: those are copied.
    if (whole && size >= kPayloadAlignment && reinterpret_cast<uintptr_t>(begin) % kPayloadAlignment == 0) {
      return {std::make_shared<grpc::Slice>(slices_[index_]), {reinterpret_cast<const std::byte*>(begin), size}};
    }
    const std::shared_ptr<std::byte> memory = NewPayloadMemory(size);
    Read(size, memory.get());
    return {memory, {memory.get(), size}};
  }

 private:
  void Advance(size_t step) {
    offset_ += step;
    if (offset_ == slices_[index_].size()) {
      ++index_;
      offset_ = 0;
    }
  }

  const std::vector<grpc::Slice>& slices_;
  size_t index_ = 0;
  size_t offset_ = 0;
};

absl::StatusOr<protocol::Frame> ReadHeader(SliceReader& reader, size_t size) {
  std::array<char, 512> small;
  std::vector<char> large;
  char* bytes = small.data();
  if (size > small.size()) {
    large.resize(size);
    bytes = large.data();
  }
  reader.Read(size, bytes);
  wire::FrameHeader header;
  if (!header.ParseFromArray(bytes, static_cast<int>(size))) {
    return Damaged(absl::StrCat("its header of ", size, " bytes is no FrameHeader"));
  }
  return FromProto(header);
}

// A slice that shares the payload's owner.
grpc::Slice ShareSlice(const protocol::Payload& payload) {
  using Owner = std::shared_ptr<const void>;
  auto owner = std::make_unique<Owner>(payload.owner());
  grpc::Slice slice(
      const_cast<std::byte*>(payload.bytes().data()), payload.bytes().size(),
      [](void* shared) { delete static_cast<Owner*>(shared); }, owner.get());
  owner.release();
  return slice;
}

}  // namespace

std::shared_ptr<std::byte> NewPayloadMemory(size_t size) {
  constexpr std::align_val_t kAlignment{kPayloadAlignment};
  return {static_cast<std::byte*>(::operator new(size, kAlignment)),
          [](std::byte* bytes) { ::operator delete(bytes, kAlignment); }};
}

absl::StatusOr<grpc::ByteBuffer> EncodeFrame(const protocol::Frame& frame, int64_t max_payload_bytes) {
  const wire::FrameHeader header = ToProto(frame);
  const size_t header_bytes = header.ByteSizeLong();
  const size_t payload_bytes = frame.payload.bytes().size();
  if (header_bytes > kMaxFrameHeaderBytes) {
    return OverLimit("frame header", header_bytes, kMaxFrameHeaderBytes);
  }
  if (payload_bytes > static_cast<uint64_t>(max_payload_bytes)) {
    return OverLimit("frame payload", payload_bytes, static_cast<uint64_t>(max_payload_bytes));
  }
  std::vector<uint8_t> head(kFramePrefixBytes + header_bytes);
  WritePrefix({static_cast<uint32_t>(header_bytes), payload_bytes}, head.data());
  header.SerializeWithCachedSizesToArray(head.data() + kFramePrefixBytes);
  std::array<grpc::Slice, 2> slices = {grpc::Slice(head.data(), head.size()), grpc::Slice()};
  if (payload_bytes > 0) {
    slices[1] = ShareSlice(frame.payload);
  }
  return grpc::ByteBuffer(slices.data(), payload_bytes > 0 ? 2 : 1);
}

absl::StatusOr<protocol::Frame> DecodeFrame(const grpc::ByteBuffer& buffer, int64_t max_payload_bytes) {
  if (!buffer.Valid() || buffer.Length() < kFramePrefixBytes) {
    return Damaged(absl::StrCat("it has ", buffer.Valid() ? buffer.Length() : 0, " bytes, its prefix alone takes ",
                                kFramePrefixBytes));
  }
  std::vector<grpc::Slice> slices;
  if (!buffer.Dump(&slices).ok()) {
    return Damaged("it was compressed in a way that is not known here");
  }
  SliceReader reader(slices);
  std::array<uint8_t, kFramePrefixBytes> bytes;
  reader.Read(bytes.size(), bytes.data());
  SPLITFT_ASSIGN_OR_RETURN(const Prefix prefix,
                           ReadPrefix(bytes, buffer.Length(), static_cast<uint64_t>(max_payload_bytes)));
  SPLITFT_ASSIGN_OR_RETURN(protocol::Frame frame, ReadHeader(reader, prefix.header_bytes));
  frame.payload = reader.TakePayload(prefix.payload_bytes);
  return frame;
}

int64_t EncodedFrameBytes(const protocol::Frame& frame) {
  return static_cast<int64_t>(kFramePrefixBytes + ToProto(frame).ByteSizeLong() + frame.payload.bytes().size());
}

}  // namespace splitft::transport
