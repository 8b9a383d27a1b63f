<?php

function checkOrderStatus($orderId, $apiKey) {
    $url = "https://api.oneclickdz.com/v3/gift-cards/checkOrder/{$orderId}";

    $ch = curl_init($url);
    curl_setopt($ch, CURLOPT_RETURNTRANSFER, true);
    curl_setopt($ch, CURLOPT_HTTPHEADER, [
        'X-Access-Token: ' . $apiKey
    ]);

    $response = curl_exec($ch);
    $httpCode = curl_getinfo($ch, CURLINFO_HTTP_CODE);
    curl_close($ch);

    if ($httpCode !== 200) {
        throw new Exception("Failed to check order: " . $httpCode);
    }

    $result = json_decode($response, true);
    return $result['data'];
}

// Usage
$orderId = '6901616fe9e88196b4eb64b3';
$order = checkOrderStatus($orderId, getenv('API_KEY'));

echo "Status: {$order['status']}\n";
echo "Quantity: {$order['quantity']}\n";

if (isset($order['cards'])) {
    echo "Cards delivered: " . count($order['cards']) . "\n";
}
?>
