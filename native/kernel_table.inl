template <class Maps>
constexpr WinogradKernels winograd_table() {
  return {winograd_input<Maps>,      winograd_input_bwd<Maps>, winograd_output<Maps>,
          winograd_output_bwd<Maps>, winograd_weights<Maps>,   winograd_weights_bwd<Maps>};
}

// The functions of this instruction set, in the order of `Kernels`.
constexpr Kernels make_table(const char* name) {
  return Kernels{
      name,           kRows,         brgemm_any<false>, brgemm_any<true>, inner_products,
      transpose,      pack_rows,     pack_columns,      count_limits,     count_nonzeros,
      list_nonzeros,  sparse_product, list_live,        live_products,    kLiveFeatures,
      activate,       activate_bwd,  derive_rows,       update,           scale_u8,
      scale_f32,      add,           max_pool,          max_pool_bwd,     average_pool,
      average_pool_bwd, dropout,     dropout_bwd,       column_sums,      centered_squares,
      normalize,      normalize_sums, normalize_bwd,    winograd_table<Winograd2x2>(),
      winograd_table<Winograd4x4>(), multiply_adds,     2 * kChains * kLanes,
  };
}
