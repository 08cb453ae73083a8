"""Networks: rectified-flow models, their training, integration and the Reflow schemes."""
