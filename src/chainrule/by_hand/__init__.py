"""By hand: the style in which textbooks write backpropagation, on the framework's own gates, and ten chapters of it.

`chainrule.by_hand.layers` has layers with ``forward`` and ``backward`` on numbers and arrays, samples in rows;
`chainrule.by_hand.l_layer` functions for networks of any depth, samples in columns; `chainrule.by_hand.two_layer_net`
and `chainrule.by_hand.finite_differences` the two networks that most people begin with. No derivative is written in
any of them. ``chainrule by-hand`` lists the chapters.
"""
