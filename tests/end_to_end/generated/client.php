<?php

require "GuzzleHttp/autoload.php";  // Debian's; with Composer it would be vendor/autoload.php, which finds the client too
spl_autoload_register(function ($class) {
    require $_SERVER["argv"][1] . "/lib/" . strtr(substr($class, strlen("OpenAPI\\Client\\")), "\\", "/") . ".php";
});

use OpenAPI\Client\Api\DefaultApi;
use OpenAPI\Client\ApiException;
use OpenAPI\Client\Configuration;
use OpenAPI\Client\Model\PlaceOrderRequest;

[, , $url, $key] = $argv;
$api = new DefaultApi(null, (new Configuration())->setHost($url)->setApiKey("X-Access-Token", $key));
$wanted = ["product_id" => "507f1f77bcf86cd799439011", "type_id" => "TEST_PARTIAL", "quantity" => 4];
$orderId = $api->placeOrder(new PlaceOrderRequest($wanted))->getData()->getOrderId();
$order = $api->checkOrder($orderId)->getData();
$from = "2025-01-01T00:00:00Z";
$listed = $api->callList(from: $from)->getData()->getItems();
$transactions = $api->transactions(from: $from, to: "2100-01-01T00:00:00Z")->getData()->getItems();
try {
    $api->checkOrder(str_repeat("0", 24));
} catch (ApiException $error) {
    $code = $error->getResponseObject()->getError()->getCode();
}
echo json_encode([
    "order" => $orderId,
    "status" => $order->getStatus(),
    "cards" => array_map(fn ($card) => $card->getValue(), $order->getCards()),
    "listed" => array_map(fn ($row) => $row->getId(), $listed),
    "transactions" => array_map(fn ($row) => $row->getType(), $transactions),
    "error" => $code,
]);
