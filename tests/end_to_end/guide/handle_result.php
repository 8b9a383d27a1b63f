<?php

function handleOrderResult($order) {
    switch ($order['status']) {
        case 'FULFILLED':
            echo "✅ Success: {$order['fulfilled_quantity']} cards delivered\n";
            echo "Cost: {$order['fulfilled_amount']} DA\n";

            // Process each card
            foreach ($order['cards'] as $index => $card) {
                echo "Card " . ($index + 1) . ": {$card['value']}\n";
                // Encrypt and deliver to customer
            }
            break;

        case 'PARTIALLY_FILLED':
            echo "⚠️ Partial: {$order['fulfilled_quantity']}/{$order['quantity']} cards\n";
            echo "Charged: {$order['fulfilled_amount']} DA\n";

            $refund = ($order['quantity'] - $order['fulfilled_quantity']) * $order['price_per_card'];
            echo "Refunded: {$refund} DA\n";

            // Deliver available cards
            foreach ($order['cards'] as $card) {
                echo "Delivered: {$card['value']}\n";
            }
            break;

        case 'REFUNDED':
            echo "❌ Order failed - full refund issued\n";
            break;
    }
}
?>
