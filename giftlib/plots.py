plot_poll_timelines = plot_time_to_fulfilment = plot_refund_totals = plot_schedule_tradeoff = None
