from django.db import transaction
from django.http import JsonResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from . import tasks
from .models import Order, Product


@csrf_exempt
@require_POST
def place_order(request):
    with transaction.atomic():
        product = get_object_or_404(Product, pk=request.POST["product"])
        order = Order.objects.create(product=product, email=request.POST["email"], quantity=int(request.POST.get("quantity", 1)))
        transaction.on_commit(lambda: tasks.fulfil(order.pk))
    return JsonResponse({"order": order.pk}, status=201)


def order_status(request, pk):
    order = get_object_or_404(Order, pk=pk)
    return JsonResponse({"status": order.status, "note": order.note})
