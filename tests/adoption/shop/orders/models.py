from django.db import models


class Product(models.Model):
    name = models.CharField(max_length=100)
    price = models.DecimalField(max_digits=10, decimal_places=2)
    stock = models.PositiveIntegerField(default=0)

    def __str__(self):
        return self.name


class Order(models.Model):
    PLACED, RESERVED, PAID, SHIPPED, REFUSED = "placed", "reserved", "paid", "shipped", "refused"

    product = models.ForeignKey(Product, models.PROTECT)
    email = models.EmailField()
    quantity = models.PositiveIntegerField(default=1)
    status = models.CharField(max_length=20, default=PLACED)
    charges = models.PositiveIntegerField(default=0)
    note = models.TextField(blank=True)
    placed_at = models.DateTimeField(auto_now_add=True)

    def __str__(self):
        return f"{self.quantity} x {self.product}"
