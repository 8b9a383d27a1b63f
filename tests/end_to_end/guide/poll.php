<?php

function pollOrderUntilComplete($orderId, $apiKey, $maxAttempts = 60) {
    for ($attempt = 1; $attempt <= $maxAttempts; $attempt++) {
        echo "Checking order status ({$attempt}/{$maxAttempts})...\n";

        $order = checkOrderStatus($orderId, $apiKey);

        // Order is complete
        $finalStates = ['FULFILLED', 'PARTIALLY_FILLED', 'REFUNDED'];
        if (in_array($order['status'], $finalStates)) {
            echo "Order completed: {$order['status']}\n";
            return $order;
        }

        // Wait 5 seconds before next check
        if ($attempt < $maxAttempts) {
            sleep(5);
        }
    }

    throw new Exception('Order still processing after timeout');
}

// Usage
try {
    $order = pollOrderUntilComplete('6901616fe9e88196b4eb64b3', getenv('API_KEY'));

    if ($order['status'] === 'FULFILLED') {
        echo "Success! Cards: " . count($order['cards']) . "\n";
    } elseif ($order['status'] === 'PARTIALLY_FILLED') {
        echo "Partial delivery: {$order['fulfilled_quantity']}/{$order['quantity']}\n";
    } else {
        echo "Order failed and refunded\n";
    }
} catch (Exception $e) {
    echo "Error: " . $e->getMessage() . "\n";
}
?>
