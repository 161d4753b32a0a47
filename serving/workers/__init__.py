"""Several processes that serve as one: a supervisor stages releases and watches, workers share the ports and answer."""
