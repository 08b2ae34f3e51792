# ruff: noqa
# The L-layer loop, typed as in the course notes; the functions are chainrule's.
import numpy as np
from chainrule.by_hand.l_layer import *

X, Y = load_data()
print("X:", X.shape, "Y:", Y.shape, "m =", X.shape[1])


def initialize_parameters_he(layer_dims):
    parameters = {}
    for l in range(1, len(layer_dims)):
        parameters["W" + str(l)] = np.random.randn(layer_dims[l], layer_dims[l - 1]) * np.sqrt(2 / layer_dims[l - 1])
        parameters["b" + str(l)] = np.zeros((layer_dims[l], 1))
    return parameters


def my_model_backward(AL, Y, caches):
    grads = {}
    L = len(caches)
    dAL = -(np.divide(Y, AL) - np.divide(1 - Y, 1 - AL))
    grads["dA" + str(L - 1)], grads["dW" + str(L)], grads["db" + str(L)] = \
        linear_activation_backward(dAL, caches[L - 1], "sigmoid")
    for l in reversed(range(L - 1)):
        dA_prev, dW, db = linear_activation_backward(grads["dA" + str(l + 1)], caches[l], "relu")
        grads["dA" + str(l)] = dA_prev
        grads["dW" + str(l + 1)] = dW
        grads["db" + str(l + 1)] = db
    return grads


def model(parameters, learning_rate, num_iterations, backward):
    costs = []
    for i in range(0, num_iterations):
        AL, caches = L_model_forward(X, parameters)
        cost = compute_cost(AL, Y)
        grads = backward(AL, Y, caches)
        parameters = update_parameters(parameters, grads, learning_rate)
        if i % 500 == 0:
            print("Cost after iteration {}: {}".format(i, np.squeeze(cost)))
            costs.append(cost)
    return parameters, costs


print("--- weights * 0.01")
np.random.seed(1)
parameters, costs = model(initialize_parameters([2, 4, 3, 1]), 0.0075, 2500, L_model_backward)
AL, caches = L_model_forward(X, parameters)
print("outputs: %.6f to %.6f" % (AL.min(), AL.max()))
predictions = predict(X, Y, parameters)

print("--- He, the backward typed here")
np.random.seed(1)
parameters, costs = model(initialize_parameters_he([2, 16, 8, 1]), 0.1, 5000, my_model_backward)
predictions = predict(X, Y, parameters)
print("wrong:", int(np.sum(np.abs(predictions - Y))), "of", Y.shape[1])
