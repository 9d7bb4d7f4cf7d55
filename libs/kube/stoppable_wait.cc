#include "libs/kube/stoppable_wait.h"

#include "libs/base/mutex.h"

namespace splitft::kube {

void WaitUnlessStopped(TimePoint deadline, const std::stop_token& stop) {
  Mutex mutex;
  CondVar stopped;
  const std::stop_callback on_stop(stop, [&] {
    const MutexLock lock(mutex);  // not between the look at `stop` below and the wait
    stopped.SignalAll();
  });
  const MutexLock lock(mutex);
  while (!stop.stop_requested() && stopped.WaitUntil(mutex, deadline)) {
  }
}

}  // namespace splitft::kube
