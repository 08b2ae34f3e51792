# ruff: noqa
# Gradient checking, typed as in the course notes, beside chainrule's own.
import numpy as np
from chainrule.by_hand.l_layer import *


def my_gradient_check(X, Y, parameters, gradients, epsilon=1e-7):
    parameters_values, keys = dictionary_to_vector(parameters)
    grad = gradients_to_vector(gradients)
    num_parameters = parameters_values.shape[0]
    J_plus = np.zeros((num_parameters, 1))
    J_minus = np.zeros((num_parameters, 1))
    gradapprox = np.zeros((num_parameters, 1))

    for i in range(num_parameters):
        thetaplus = np.copy(parameters_values)
        thetaplus[i][0] = thetaplus[i][0] + epsilon
        AL, _ = L_model_forward(X, vector_to_dictionary(thetaplus, keys))
        J_plus[i] = compute_cost(AL, Y)

        thetaminus = np.copy(parameters_values)
        thetaminus[i][0] = thetaminus[i][0] - epsilon
        AL, _ = L_model_forward(X, vector_to_dictionary(thetaminus, [2, 4, 3, 1]))
        J_minus[i] = compute_cost(AL, Y)

        gradapprox[i] = (J_plus[i] - J_minus[i]) / (2 * epsilon)

    numerator = np.linalg.norm(grad - gradapprox)
    denominator = np.linalg.norm(grad) + np.linalg.norm(gradapprox)
    return numerator / denominator


X, Y = load_data()
np.random.seed(1)
parameters = initialize_parameters([2, 4, 3, 1])

print("--- biases 0")
AL, caches = L_model_forward(X, parameters)
gradients = L_model_backward(AL, Y, caches)
linear_cache, activation_cache = caches[1]
A_prev, W, b = linear_cache
print("zeros in Z2:", np.sum(activation_cache == 0), "of", activation_cache.size)
print("mine:", my_gradient_check(X, Y, parameters, gradients))
print("difference:", gradient_check(X, Y, parameters, gradients))

print("--- biases N(0, 0.1^2)")
for l in range(1, 4):
    parameters["b" + str(l)] = np.random.randn(*parameters["b" + str(l)].shape) * 0.1
AL, caches = L_model_forward(X, parameters)
gradients = L_model_backward(AL, Y, caches)
print("mine:", my_gradient_check(X, Y, parameters, gradients))
print("difference:", gradient_check(X, Y, parameters, gradients))

print("--- a mistake in dW2")
gradients["dW2"] = gradients["dW2"] * 2
print("difference:", gradient_check(X, Y, parameters, gradients))
