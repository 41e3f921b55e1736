// penmark.engine._core: the network for Python. Checks every size and range before work starts, then
// lets go of the interpreter's lock.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>

#include "dispatch.h"
#include "network.h"
#include "peak.h"
#include "pack.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace penmark {
namespace {

using AnyArray = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;
using Floats = nb::ndarray<const float, nb::c_contig, nb::device::cpu>;
using Orders = nb::ndarray<const std::int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using NumpyFloats = nb::ndarray<nb::numpy, float>;
using ShapeTuple = std::tuple<int, int, int>;

constexpr const char* kActivations[] = {
    "linear", "relu", "sigmoid", "tanh", "gelu", "gelu_tanh", "silu", "elu", "selu", "leaky_relu",
    "softplus", "softsign", "exponential", "hard_sigmoid", "relu6"};
constexpr const char* kOptimizers[] = {"sgd", "momentum", "nesterov", "rmsprop", "adagrad",
                                       "adadelta", "adam"};
constexpr const char* kLosses[] = {"softmax_cross_entropy", "sigmoid_cross_entropy",
                                   "mean_squared_error"};
constexpr const char* kFills[] = {"constant", "nearest", "reflect", "wrap"};

template <class Enum, std::size_t n>
Enum named(const char* const (&names)[n], const std::string& name, const char* what) {
  for (std::size_t i = 0; i < n; ++i)
    if (name == names[i]) return static_cast<Enum>(i);
  throw std::invalid_argument("there is no " + std::string(what) + " '" + name + "'");
}

template <class T = float>
nb::ndarray<nb::numpy, T> new_array(std::vector<std::size_t> shape) {
  std::size_t size = 1;
  for (const std::size_t axis : shape) size *= axis;
  T* data = new T[size];
  const nb::capsule owner(data, [](void* p) noexcept { delete[] static_cast<T*>(p); });
  return nb::ndarray<nb::numpy, T>(data, shape.size(), shape.data(), owner);
}

// One caller at a time: while one thread trains without the interpreter's lock, another could call.
class Busy {
 public:
  explicit Busy(std::atomic<bool>& flag) : flag_(flag) {
    if (flag_.exchange(true)) throw std::runtime_error("this network is busy in another thread");
  }
  ~Busy() { flag_.store(false); }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;

 private:
  std::atomic<bool>& flag_;
};

// Calls Python's progress function between batches, and lets Ctrl-C through; keeps an exception
// until the threads have come to rest.
class PythonProgress {
 public:
  explicit PythonProgress(nb::object function) : function_(std::move(function)) {}

  bool operator()(std::int64_t done, const Totals& totals) {
    const nb::gil_scoped_acquire lock;
    try {
      if (PyErr_CheckSignals() != 0) throw nb::python_error();
      if (function_.is_none()) return true;
      const nb::object answer = function_(done, summary(totals));
      return answer.is_none() || nb::cast<bool>(answer);
    } catch (...) {
      error_ = std::current_exception();
      return false;
    }
  }
  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

  static nb::dict summary(const Totals& totals) {
    nb::dict sums;
    sums["images"] = totals.images;
    sums["loss"] = totals.loss;
    sums["correct"] = totals.correct;
    sums["binary"] = totals.binary;
    sums["top_k"] = totals.top_k;
    return sums;
  }

 private:
  nb::object function_;
  std::exception_ptr error_;
};

class PyNetwork {
 public:
  PyNetwork(const ShapeTuple& shape, int threads, const std::string& isa, bool guards)
      : network_({std::get<0>(shape), std::get<1>(shape), std::get<2>(shape)}, threads, isa,
                 guards) {}

  Network& network() { return network_; }
  Graph& graph() { return network_.graph(); }

  void set_optimizer(const std::string& kind, double beta1, double beta2, double epsilon,
                     double weight_decay, double clip_value, double clip_norm,
                     double global_clip_norm, bool amsgrad, bool centered) {
    Optimizer optimizer;
    optimizer.kind = named<OptimizerKind>(kOptimizers, kind, "optimizer");
    optimizer.beta1 = beta1;
    optimizer.beta2 = beta2;
    optimizer.epsilon = epsilon;
    optimizer.weight_decay = weight_decay;
    optimizer.clip_value = clip_value;
    optimizer.clip_norm = clip_norm;
    optimizer.global_clip_norm = global_clip_norm;
    optimizer.amsgrad = amsgrad;
    optimizer.centered = centered;
    network_.set_optimizer(optimizer);
  }

  void set_loss(int tensor, const std::string& kind, float smoothing, std::vector<int> top_k,
                std::optional<float> threshold, bool clips) {
    network_.set_loss(tensor, {named<LossKind>(kLosses, kind, "loss"), smoothing,
                               std::move(top_k), threshold, clips});
    loss_at_ = tensor;
  }

  void set_augment(const std::array<float, 2>& shift_h, const std::array<float, 2>& shift_w,
                   const std::array<float, 2>& turn, const std::array<float, 2>& zoom_h,
                   const std::optional<std::array<float, 2>>& zoom_w, const std::string& fill,
                   float fill_value, bool bilinear) {
    Augment augment;
    augment.enabled = true;
    const auto copy = [](const std::array<float, 2>& from, float (&to)[2]) {
      to[0] = from[0];
      to[1] = from[1];
    };
    copy(shift_h, augment.shift_h);
    copy(shift_w, augment.shift_w);
    copy(turn, augment.turn);
    copy(zoom_h, augment.zoom_h);
    augment.zoom_keeps_ratio = !zoom_w.has_value();
    if (zoom_w.has_value()) copy(*zoom_w, augment.zoom_w);
    augment.fill = named<Fill>(kFills, fill, "fill mode");
    augment.fill_value = fill_value;
    augment.bilinear = bilinear;
    network_.set_augment(augment);
  }

  nb::list params() {
    nb::list list;
    for (const auto& param : graph().params())
      list.append(nb::make_tuple(param->name, param->shape, param->trainable));
    return list;
  }

  NumpyFloats get(int number, const std::string& what) {
    const Busy busy(busy_);
    Param& param = checked(number);
    std::vector<std::size_t> shape(param.shape.begin(), param.shape.end());
    NumpyFloats array = new_array(shape);
    const auto unpack = param.transposed ? unpack_transposed : unpack_panels;
    unpack(storage(param, what), array.data(), param.rows, param.columns);
    return array;
  }

  void set(int number, const std::string& what, const Floats& values) {
    const Busy busy(busy_);
    Param& param = checked(number);
    bool same = values.ndim() == param.shape.size();
    for (std::size_t i = 0; same && i < values.ndim(); ++i)
      same = static_cast<std::int64_t>(values.shape(i)) == param.shape[i];
    if (!same) throw std::invalid_argument(param.name + ": the array has another shape");
    const auto pack = param.transposed ? pack_transposed : pack_panels;
    pack(values.data(), storage(param, what), param.rows, param.columns);
  }

  nb::dict train(const AnyArray& x, const AnyArray& y, const Orders& order, int batch,
                 const Floats& rates, std::int64_t iteration, std::uint64_t seed,
                 const std::optional<Floats>& weights, nb::object progress) {
    const Busy busy(busy_);
    const Run run = checked_run(x, &y, order, batch, weights);
    const std::int64_t batches = (run.count + batch - 1) / batch;
    if (static_cast<std::int64_t>(rates.size()) != batches)
      throw std::invalid_argument("one learning rate per batch is needed");
    if (iteration < 0) throw std::invalid_argument("iteration must not be negative");
    PythonProgress report(std::move(progress));
    Totals totals;
    {
      const nb::gil_scoped_release free;
      totals = network_.train(run, {rates.data(), iteration, seed}, std::ref(report));
    }
    report.rethrow();
    return PythonProgress::summary(totals);
  }

  nb::dict evaluate(const AnyArray& x, const AnyArray& y, const Orders& order, int batch,
                    const std::optional<Floats>& weights, nb::object progress) {
    const Busy busy(busy_);
    Run run = checked_run(x, &y, order, batch, weights);
    run.batch = planned_batch(run.count, batch);
    PythonProgress report(std::move(progress));
    Totals totals;
    {
      const nb::gil_scoped_release free;
      totals = network_.evaluate(run, std::ref(report));
    }
    report.rethrow();
    return PythonProgress::summary(totals);
  }

  NumpyFloats predict(const AnyArray& x, const Orders& order, int batch, int tensor,
                      nb::object progress) {
    const Busy busy(busy_);
    Run run = checked_run(x, nullptr, order, batch, std::nullopt);
    run.batch = planned_batch(run.count, batch);
    const std::size_t features = static_cast<std::size_t>(graph().shape(tensor).features());
    NumpyFloats out = new_array({static_cast<std::size_t>(run.count), features});
    float* to = out.data();
    PythonProgress report(std::move(progress));
    {
      const nb::gil_scoped_release free;
      network_.predict(run, tensor, to, std::ref(report));
    }
    report.rethrow();
    return out;
  }

  nb::dict gradients(const AnyArray& x, const AnyArray& y, std::uint64_t seed,
                     const std::optional<Floats>& weights) {
    const Busy busy(busy_);
    std::vector<std::int64_t> order(x.ndim() > 0 ? x.shape(0) : 0);
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::int64_t>(i);
    const std::size_t count = order.size();
    const Orders all(order.data(), 1, &count);
    const Run run = checked_run(x, &y, all, static_cast<int>(std::max<std::size_t>(count, 1)),
                                weights);
    Totals totals;
    {
      const nb::gil_scoped_release free;
      totals = network_.gradients(run, seed);
    }
    return PythonProgress::summary(totals);
  }

  nb::list training_times() {
    const Busy busy(busy_);
    nb::list list;
    for (const LayerTime& time : network_.training_times())
      list.append(nb::make_tuple(time.name, time.fwd_s, time.bwd_s));
    return list;
  }

  nb::tuple shape(int tensor) {
    const Shape& shape = graph().shape(tensor);
    return nb::make_tuple(shape.H, shape.W, shape.C);
  }

 private:
  Param& checked(int number) {
    if (number < 0 || number >= static_cast<int>(graph().params().size()))
      throw std::invalid_argument("there is no weight " + std::to_string(number));
    Param* param = graph().param(number);
    if (param->w == nullptr) throw std::invalid_argument("finish() comes first");
    return *param;
  }

  static float* storage(const Param& param, const std::string& what) {
    float* data = what == "weight"     ? param.w
                  : what == "gradient" ? param.grad
                  : what == "slot0"    ? param.slot[0]
                  : what == "slot1"    ? param.slot[1]
                  : what == "slot2"    ? param.slot[2]
                                       : nullptr;
    if (data == nullptr) throw std::invalid_argument(param.name + " has no " + what);
    return data;
  }

  // A plan for every number of images would grow without bound in a program that runs for long.
  static int planned_batch(std::int64_t count, int batch) {
    std::int64_t size = 1;
    while (size < std::min<std::int64_t>(batch, count)) size *= 2;
    return static_cast<int>(std::min<std::int64_t>(size, batch));
  }

  Run checked_run(const AnyArray& x, const AnyArray* y, const Orders& order, int batch,
                  const std::optional<Floats>& weights) {
    Run run;
    if (batch < 1) throw std::invalid_argument("the batch size must be at least 1");
    if (order.size() == 0) throw std::invalid_argument("there are no images");
    if (x.ndim() < 1) throw std::invalid_argument("images must be an array of them");
    const std::int64_t images = static_cast<std::int64_t>(x.shape(0));
    const std::int64_t features = graph().shape(0).features();
    if (static_cast<std::int64_t>(x.size()) != images * features)
      throw std::invalid_argument("each image must hold " + std::to_string(features) + " numbers");
    if (x.dtype() == nb::dtype<std::uint8_t>())
      run.images.bytes = static_cast<const std::uint8_t*>(x.data());
    else if (x.dtype() == nb::dtype<float>())
      run.images.floats = static_cast<const float*>(x.data());
    else
      throw std::invalid_argument("images must be uint8 or float32");
    for (std::size_t i = 0; i < order.size(); ++i)
      if (order.data()[i] < 0 || order.data()[i] >= images)
        throw std::invalid_argument("the order of images points outside of them");
    if (y != nullptr) check_labels(*y, images, run.labels);
    if (weights.has_value()) {
      if (static_cast<std::int64_t>(weights->size()) != images)
        throw std::invalid_argument("one sample weight per image is needed");
      run.labels.weights = weights->data();
    }
    run.labels.order = order.data();
    run.count = static_cast<std::int64_t>(order.size());
    run.batch = static_cast<int>(std::min<std::int64_t>(batch, run.count));
    return run;
  }

  void check_labels(const AnyArray& y, std::int64_t images, Labels& labels) {
    if (loss_at_ < 0) throw std::invalid_argument("set_loss() comes first");
    const std::int64_t K = graph().shape(loss_at_).features();
    if (y.ndim() < 1 || static_cast<std::int64_t>(y.shape(0)) != images)
      throw std::invalid_argument("one label per image is needed");
    if (y.dtype() == nb::dtype<std::int64_t>() && static_cast<std::int64_t>(y.size()) == images) {
      labels.classes = static_cast<const std::int64_t*>(y.data());
      for (std::int64_t i = 0; i < images; ++i)
        if (labels.classes[i] < 0 || labels.classes[i] >= K)
          throw std::invalid_argument("label " + std::to_string(labels.classes[i]) + " of image " +
                                      std::to_string(i) + " is not one of the classes 0 to " +
                                      std::to_string(K - 1));
    } else if (y.dtype() == nb::dtype<float>() &&
               static_cast<std::int64_t>(y.size()) == images * K) {
      labels.targets = static_cast<const float*>(y.data());
    } else {
      throw std::invalid_argument("labels must be int64, one per image, or float32, " +
                                  std::to_string(K) + " per image");
    }
  }

  Network network_;
  int loss_at_ = -1;
  std::atomic<bool> busy_{false};
};

Activation activation(const std::string& name) {
  return named<Activation>(kActivations, name, "activation");
}
// What a dense or convolution layer can do in its own pass: the slope follows from the output.
Activation fused(const std::string& name) {
  const Activation kind = activation(name);
  if (static_cast<int>(kind) > static_cast<int>(Activation::tanh))
    throw std::invalid_argument("'" + name + "' cannot be fused; add it with activate()");
  return kind;
}

void bind_layers(nb::class_<PyNetwork>& c) {
  c.def("dense", [](PyNetwork& n, int x, int units, bool bias, const std::string& f, bool trainable,
                    const std::string& name, bool bf16) {
     return n.graph().dense(x, units, bias, fused(f), trainable, name, bf16);
   }, "x"_a, "units"_a, "use_bias"_a, "activation"_a, "trainable"_a, "name"_a, "bf16"_a = false)
   .def("conv2d", [](PyNetwork& n, int x, int filters, std::tuple<int, int> kernel,
                     std::tuple<int, int> strides, bool same, bool bias, const std::string& f,
                     bool trainable, const std::string& name, bool bf16) {
     return n.graph().conv2d(x, filters, std::get<0>(kernel), std::get<1>(kernel),
                             std::get<0>(strides), std::get<1>(strides), same, bias, fused(f),
                             trainable, name, bf16);
   }, "x"_a, "filters"_a, "kernel_size"_a, "strides"_a, "same"_a, "use_bias"_a, "activation"_a,
      "trainable"_a, "name"_a, "bf16"_a = false)
   .def("pool", [](PyNetwork& n, int x, bool takes_max, std::tuple<int, int> size,
                   std::tuple<int, int> strides, bool same) {
     return n.graph().pool(x, takes_max, std::get<0>(size), std::get<1>(size),
                           std::get<0>(strides), std::get<1>(strides), same);
   }, "x"_a, "takes_max"_a, "pool_size"_a, "strides"_a, "same"_a)
   .def("global_average_pool",
        [](PyNetwork& n, int x) { return n.graph().global_average_pool(x); }, "x"_a)
   .def("activate", [](PyNetwork& n, int x, const std::string& f, float alpha) {
     return n.graph().activate(x, activation(f), alpha);
   }, "x"_a, "activation"_a, "alpha"_a)
   .def("softmax", [](PyNetwork& n, int x) { return n.graph().softmax(x); }, "x"_a)
   .def("rescale", [](PyNetwork& n, int x, float scale, float offset) {
     return n.graph().rescale(x, scale, offset);
   }, "x"_a, "scale"_a, "offset"_a)
   .def("reshape", [](PyNetwork& n, int x, const ShapeTuple& s) {
     return n.graph().reshape(x, {std::get<0>(s), std::get<1>(s), std::get<2>(s)});
   }, "x"_a, "shape"_a)
   .def("dropout", [](PyNetwork& n, int x, double rate) { return n.graph().dropout(x, rate); },
        "x"_a, "rate"_a)
   .def("batch_norm", [](PyNetwork& n, int x, float momentum, float epsilon, bool center,
                         bool scale, bool trainable, const std::string& name) {
     return n.graph().batch_norm(x, momentum, epsilon, center, scale, trainable, name);
   }, "x"_a, "momentum"_a, "epsilon"_a, "center"_a, "scale"_a, "trainable"_a, "name"_a)
   .def("add", [](PyNetwork& n, const std::vector<int>& inputs) { return n.graph().add(inputs); },
        "inputs"_a);
}

std::optional<nb::ndarray<nb::numpy, std::int64_t>> classes_of(
    const nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>& targets) {
  auto classes = new_array<std::int64_t>({targets.shape(0)});
  if (!one_hot_classes(targets.data(), static_cast<std::int64_t>(targets.shape(0)),
                       static_cast<std::int64_t>(targets.shape(1)), classes.data()))
    return std::nullopt;
  return classes;
}

}  // namespace
}  // namespace penmark

NB_MODULE(_core, m) {
  using penmark::PyNetwork;
  m.doc() = "The native core of penmark's engine: see native/network.h.";
  m.def("usable_isas", &penmark::usable_isas,
        "Instruction sets built in and usable on this machine, slowest first.");
  m.def("peak_gflops", &penmark::peak_gflops, "threads"_a,
        nb::call_guard<nb::gil_scoped_release>(),
        "Float32 GFLOP/s that so many threads reach on registers alone, at best.");
  m.def("available_threads", &penmark::available_threads,
        "Threads that the process may use: affinity, cgroup and PENMARK_THREADS respected.");
  m.def("one_hot_classes", &penmark::classes_of, "targets"_a,
        nb::sig("def one_hot_classes(targets: numpy.typing.NDArray[numpy.float32]) -> "
                "numpy.typing.NDArray[numpy.int64] | None"),
        "Places of the ones where every row of targets (n, units) is a one among zeros, else None.");
  nb::class_<PyNetwork> c(m, "Network");
  c.def(nb::init<const penmark::ShapeTuple&, int, const std::string&, bool>(), "shape"_a,
        "threads"_a = 0, "isa"_a = "", "guards"_a = false);
  penmark::bind_layers(c);
  c.def("shape", &PyNetwork::shape, nb::sig("def shape(self, tensor: int) -> tuple[int, int, int]"))
   .def("set_optimizer", &PyNetwork::set_optimizer, "kind"_a, "beta1"_a = 0.0, "beta2"_a = 0.0,
        "epsilon"_a = 0.0, "weight_decay"_a = 0.0, "clip_value"_a = 0.0, "clip_norm"_a = 0.0,
        "global_clip_norm"_a = 0.0, "amsgrad"_a = false, "centered"_a = false)
   .def("set_loss", &PyNetwork::set_loss, "tensor"_a, "kind"_a, "label_smoothing"_a = 0.0f,
        "top_k"_a = std::vector<int>{}, "threshold"_a = nb::none(), "clips"_a = false)
   .def("set_augment", &PyNetwork::set_augment, "shift_h"_a, "shift_w"_a, "turn"_a, "zoom_h"_a,
        "zoom_w"_a.none(), "fill"_a, "fill_value"_a, "bilinear"_a)
   .def("exclude_from_weight_decay", [](PyNetwork& n, int number) {
     if (number < 0 || number >= static_cast<int>(n.graph().params().size()))
       throw std::invalid_argument("there is no weight " + std::to_string(number));
     n.graph().param(number)->decays = false;
   }, "number"_a)
   .def("finish", [](PyNetwork& n, bool trains) { n.network().finish(trains); },
        "trains"_a = true)
   .def("params", &PyNetwork::params,
        nb::sig("def params(self) -> list[tuple[str, list[int], bool]]"),
        "(name, shape, trainable) of each weight.")
   .def("get", &PyNetwork::get, "number"_a, "what"_a = "weight",
        "A copy of a weight, its 'gradient', or 'slot0', 'slot1', 'slot2' of the optimizer.")
   .def("set", &PyNetwork::set, "number"_a, "what"_a, "values"_a)
   .def("train", &PyNetwork::train,
        nb::sig("def train(self, x: NDArray[Any], y: NDArray[Any], order: NDArray[numpy.int64], "
                "batch: int, rates: NDArray[numpy.float32], iteration: int, seed: int, "
                "weights: NDArray[numpy.float32] | None = None, "
                "progress: Callable[[int, dict[str, Any]], bool | None] | None = None) "
                "-> dict[str, Any]"),
        "x"_a, "y"_a, "order"_a, "batch"_a, "rates"_a, "iteration"_a,
        "seed"_a, "weights"_a.none() = nb::none(), "progress"_a.none() = nb::none())
   .def("evaluate", &PyNetwork::evaluate,
        nb::sig("def evaluate(self, x: NDArray[Any], y: NDArray[Any], "
                "order: NDArray[numpy.int64], batch: int, "
                "weights: NDArray[numpy.float32] | None = None, "
                "progress: Callable[[int, dict[str, Any]], bool | None] | None = None) "
                "-> dict[str, Any]"),
        "x"_a, "y"_a, "order"_a, "batch"_a, "weights"_a.none() = nb::none(),
        "progress"_a.none() = nb::none())
   .def("predict", &PyNetwork::predict,
        nb::sig("def predict(self, x: NDArray[Any], order: NDArray[numpy.int64], batch: int, "
                "tensor: int, "
                "progress: Callable[[int, dict[str, Any]], bool | None] | None = None) "
                "-> NDArray[numpy.float32]"),
        "x"_a, "order"_a, "batch"_a, "tensor"_a,
        "progress"_a.none() = nb::none())
   .def("gradients", &PyNetwork::gradients,
        nb::sig("def gradients(self, x: NDArray[Any], y: NDArray[Any], seed: int, "
                "weights: NDArray[numpy.float32] | None = None) -> dict[str, Any]"),
        "x"_a, "y"_a, "seed"_a, "weights"_a.none() = nb::none())
   .def("training_times", &PyNetwork::training_times,
        nb::sig("def training_times(self) -> list[tuple[str, float, float]]"),
        "(layer, seconds forward, seconds backward) so far, as the first thread saw them.")
   .def_prop_ro("isa", [](PyNetwork& n) { return n.network().isa(); })
   .def_prop_ro("threads", [](PyNetwork& n) { return n.network().threads(); })
   .def_prop_ro("bytes", [](PyNetwork& n) { return n.network().plan_bytes(); })
   .def_prop_ro("first_overrun", [](PyNetwork& n) { return n.network().first_overrun(); },
                "Region written past its end, where guards are on; -1: none.");
}
