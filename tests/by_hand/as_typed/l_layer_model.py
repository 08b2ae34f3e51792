# ruff: noqa
# The whole model in one call, as a learner types it who has a file of helpers called l_layer.
import numpy as np
from chainrule.by_hand.l_layer import load_data, L_layer_model, predict

np.random.seed(1)
train_x, train_y = load_data()
layers_dims = [2, 4, 3, 1]
parameters = L_layer_model(train_x, train_y, layers_dims, learning_rate=0.0075, num_iterations=300, print_cost=True)
pred_train = predict(train_x, train_y, parameters)
print(sorted(parameters))
